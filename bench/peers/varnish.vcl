# Varnish as a cache and nothing else: no API key is looked at, nothing is counted. @NAMES@ are filled in at the start.
vcl 4.1;

backend retailer {
    .host = "@UPSTREAM_HOST@";
    .port = "@UPSTREAM_PORT@";
}

sub vcl_recv {
    # The built-in rules would pass what has an Authorization.
    unset req.http.Authorization;
    return (hash);
}

sub vcl_backend_fetch {
    set bereq.http.Authorization = "Bearer demo-upstream-key";
}
