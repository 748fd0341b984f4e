<?php

$curl = curl_init();

curl_setopt_array($curl, [
    CURLOPT_URL => 'https://ssapi.shipstation.com/stores/refreshstore?storeId=storeId&refreshDate=refreshDate',
    CURLOPT_RETURNTRANSFER => true,
    CURLOPT_FOLLOWLOCATION => true,
    CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_1_1,
    CURLOPT_CUSTOMREQUEST => 'POST',
    CURLOPT_POSTFIELDS => '{
  "storeId": 12345,
  "refreshDate": "2020-05-29 15:05:02"
}',
    CURLOPT_HTTPHEADER => [
        'Host: ssapi.shipstation.com',
        'Authorization: __YOUR_AUTH_HERE__',
    ],
]);

$response = curl_exec($curl);
curl_close($curl);
echo $response;
