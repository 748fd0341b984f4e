package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

func main() {
	url := "https://ssapi.shipstation.com/stores/refreshstore?storeId=storeId&refreshDate=refreshDate"
	body := strings.NewReader(`{
  "storeId": 12345,
  "refreshDate": "2020-05-29 15:05:02"
}`)

	request, err := http.NewRequest("POST", url, body)
	if err != nil {
		fmt.Println(err)
		return
	}
	request.Header.Add("Authorization", "__YOUR_AUTH_HERE__")
	request.Header.Add("Content-Type", "application/json")

	response, err := http.DefaultClient.Do(request)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()

	content, err := io.ReadAll(response.Body)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(content))
}
