import java.io.IOException;
import okhttp3.MediaType;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;

public class RefreshStore {
    public static void main(String[] arguments) throws IOException {
        OkHttpClient client = new OkHttpClient().newBuilder().build();
        MediaType mediaType = MediaType.parse("application/json");
        RequestBody body = RequestBody.create(
            mediaType, "{\n  \"storeId\": 12345,\n  \"refreshDate\": \"2020-05-29 15:05:02\"\n}");
        Request request = new Request.Builder()
            .url("https://ssapi.shipstation.com/stores/refreshstore?storeId=storeId&refreshDate=refreshDate")
            .method("POST", body)
            .addHeader("Authorization", "__YOUR_AUTH_HERE__")
            .addHeader("Content-Type", "application/json")
            .build();
        try (Response response = client.newCall(request).execute()) {
            System.out.println(response.body().string());
        }
        client.connectionPool().evictAll();
    }
}
