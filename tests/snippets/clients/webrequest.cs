using System;
using System.IO;
using System.Net;
using System.Text;

class RefreshStore
{
    static void Main()
    {
        var request = (HttpWebRequest)WebRequest.Create("https://ssapi.shipstation.com/stores/refreshstore?storeId=storeId&refreshDate=refreshDate");
        request.Method = "POST";
        request.Headers.Add("Authorization", "__YOUR_AUTH_HERE__");
        request.ContentType = "application/json";
        var body = Encoding.UTF8.GetBytes("{\n  \"storeId\": 12345,\n  \"refreshDate\": \"2020-05-29 15:05:02\"\n}");
        using (var stream = request.GetRequestStream())
        {
            stream.Write(body, 0, body.Length);
        }
        using (var response = request.GetResponse())
        using (var reader = new StreamReader(response.GetResponseStream()))
        {
            Console.WriteLine(reader.ReadToEnd());
        }
    }
}
