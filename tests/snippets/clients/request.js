const request = require("request");

const options = {
  method: "POST",
  url: "https://ssapi.shipstation.com/stores/refreshstore?storeId=storeId&refreshDate=refreshDate",
  headers: {
    Authorization: "__YOUR_AUTH_HERE__",
    "Content-Type": "application/json",
  },
  body: JSON.stringify({
    storeId: 12345,
    refreshDate: "2020-05-29 15:05:02",
  }),
};

request(options, (error, response) => {
  if (error) throw error;
  console.log(response.body);
});
