curl --location --request POST 'https://ssapi.shipstation.com/stores/refreshstore?storeId=storeId&refreshDate=refreshDate' \
--header 'Authorization: __YOUR_AUTH_HERE__' \
--header 'Content-Type: application/json' \
--data-raw '{
  "storeId": 12345,
  "refreshDate": "2020-05-29 15:05:02"
}'
