using System;
using RestSharp;

class RefreshStore
{
    static void Main()
    {
        var client = new RestClient("https://ssapi.shipstation.com/stores/refreshstore?storeId=storeId&refreshDate=refreshDate");
        client.Timeout = -1;
        var request = new RestRequest(Method.POST);
        request.AddHeader("Authorization", "__YOUR_AUTH_HERE__");
        request.AddHeader("Content-Type", "application/json");
        var body = "{\n  \"storeId\": 12345,\n  \"refreshDate\": \"2020-05-29 15:05:02\"\n}";
        request.AddParameter("application/json", body, ParameterType.RequestBody);
        IRestResponse response = client.Execute(request);
        Console.WriteLine(response.Content);
    }
}
