$headers = @{
  'Authorization' = '__YOUR_AUTH_HERE__'
  'Content-Type' = 'application/json'
}
$body = '{
  "storeId": 12345,
  "refreshDate": "2020-05-29 15:05:02"
}'

$response = Invoke-RestMethod 'https://ssapi.shipstation.com/stores/refreshstore?storeId=storeId&refreshDate=refreshDate' -Method 'POST' -Headers $headers -Body $body
$response | ConvertTo-Json
