# The gateway as an image: `docker build -t gateway .`; how to run it is in deploy/README.md. Its Python is the one that the
# tests run on.
FROM python:3.11-slim-trixie AS build
WORKDIR /src
# The libraries first: a changed source does not have them fetched again.
COPY pyproject.toml ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" >libraries \
    && pip wheel --wheel-dir /wheels --requirement libraries
COPY README.md LICENSE ./
COPY gateway gateway
# Nobody may write bytecode where it runs: it is made here, and no file's date makes it stale.
RUN pip wheel --no-deps --wheel-dir /wheels . \
    && python -m venv --without-pip /opt/gateway \
    && pip --python /opt/gateway install --no-compile --no-index --find-links /wheels gateway \
    && python -m compileall -q --invalidation-mode unchecked-hash /opt/gateway/lib

FROM python:3.11-slim-trixie
LABEL org.opencontainers.image.title="gateway" \
      org.opencontainers.image.description="An async caching, metering reverse proxy for paid and slow HTTP APIs" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/gateway /opt/gateway
# The base image has no bytecode of Python's own library: what is loaded here, as root, gets it. Some platforms give a
# container any user, and the group 0.
RUN /opt/gateway/bin/python -c "import gateway.cli, gateway.ready, gateway.serving" \
    && install -d -o 10001 -g 0 -m 0770 /gateway/var
USER 10001:0
WORKDIR /gateway

# The admin port stays on the container's loopback; GATEWAY_ADMIN=0.0.0.0:9180 opens it, with GATEWAY_ADMIN_TOKEN.
ENV PATH=/opt/gateway/bin:$PATH GATEWAY_LISTEN=0.0.0.0:8080 GATEWAY_ADMIN=127.0.0.1:9180
EXPOSE 8080
# Journal and book, the only place that is written to. No config is built in: the repository's own holds a public key.
VOLUME /gateway/var
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["/opt/gateway/bin/python", "-I", "-m", "gateway.ready"]
ENTRYPOINT ["gateway"]
CMD ["serve", "--config", "config.yaml"]
