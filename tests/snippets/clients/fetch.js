const headers = new Headers();
headers.append("Authorization", "__YOUR_AUTH_HERE__");
headers.append("Content-Type", "application/json");

const body = JSON.stringify({
  storeId: 12345,
  refreshDate: "2020-05-29 15:05:02",
});

fetch("https://ssapi.shipstation.com/stores/refreshstore?storeId=storeId&refreshDate=refreshDate", {
  method: "POST",
  headers: headers,
  body: body,
  redirect: "follow",
})
  .then((response) => response.text())
  .then((text) => console.log(text))
  .catch((error) => console.error(error));
