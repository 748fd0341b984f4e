require "json"
require "net/http"
require "uri"

url = URI("https://ssapi.shipstation.com/stores/refreshstore?storeId=storeId&refreshDate=refreshDate")

https = Net::HTTP.new(url.host, url.port)
https.use_ssl = true

request = Net::HTTP::Post.new(url)
request["Host"] = "ssapi.shipstation.com"
request["Authorization"] = "__YOUR_AUTH_HERE__"
request["Content-Type"] = "application/json"
request.body = JSON.dump({ "storeId" => 12345, "refreshDate" => "2020-05-29 15:05:02" })

response = https.request(request)
puts response.read_body
