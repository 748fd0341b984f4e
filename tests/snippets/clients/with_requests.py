import sys

import requests

url = "https://ssapi.shipstation.com/stores/refreshstore?storeId=storeId&refreshDate=refreshDate"
payload = '{\n  "storeId": 12345,\n  "refreshDate": "2020-05-29 15:05:02"\n}'
headers = {
    "Host": "ssapi.shipstation.com",
    "Authorization": "__YOUR_AUTH_HERE__",
    "Content-Type": "application/json",
}

response = requests.request("POST", url, headers=headers, data=payload)
sys.stdout.write(response.text)
