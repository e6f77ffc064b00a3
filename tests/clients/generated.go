// Command main signs in with the client that openapi-generator writes from the OpenAPI document. Its arguments are the base
// URL, an address and a password; it prints the caller's user.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"os"

	glasshouse "github.com/generated/glasshouse"
)

func main() {
	configuration := glasshouse.NewConfiguration()
	configuration.Servers = glasshouse.ServerConfigurations{{URL: os.Args[1]}}
	client := glasshouse.NewAPIClient(configuration)

	wrong := glasshouse.NewCredentials(os.Args[2], "not the password")
	_, response, err := client.AuthAPI.SignIn(context.Background()).Credentials(*wrong).Execute()
	var refused *glasshouse.GenericOpenAPIError
	if !errors.As(err, &refused) || response.StatusCode != 401 {
		log.Fatalf("a wrong password: %v, %v", response, err)
	}
	if problem, isProblem := refused.Model().(glasshouse.Problem); !isProblem || problem.Code != "credentials_wrong" {
		log.Fatalf("a wrong password: %s", refused.Body())
	}

	credentials := glasshouse.NewCredentials(os.Args[2], os.Args[3])
	grant, _, err := client.AuthAPI.SignIn(context.Background()).Credentials(*credentials).Execute()
	if err != nil {
		log.Fatal(err)
	}
	caller := context.WithValue(context.Background(), glasshouse.ContextAccessToken, grant.AccessToken)
	user, response, err := client.UsersAPI.ReadOwn(caller).Execute()
	if err != nil {
		log.Fatal(err)
	}
	change := glasshouse.NewChange()
	change.SetName(user.Name + " Lee")
	changed, _, err := client.UsersAPI.Change(caller, user.Id).IfMatch(response.Header.Get("ETag")).Change(*change).Execute()
	if err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(changed); err != nil {
		log.Fatal(err)
	}
}
