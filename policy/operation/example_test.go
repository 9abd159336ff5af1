package operation_test

import (
	"fmt"

	"github.com/zproxy/zproxy/policy/operation"
)

func ExampleCatalogue_Resolve() {
	c, err := operation.Default()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, in := range []operation.Request{
		{Method: "POST", Target: "/v2/users/42/lock", ContentType: "application/json"},
		{Method: "POST", Target: "/zitadel.user.v2.UserService/LockUser", ContentType: "application/grpc"},
		{Method: "POST", Target: "/v2/users/42%2Flock", ContentType: "application/json"},
	} {
		out, err := c.Resolve(in)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(out.Operation.Name, out.Protocol, out.Variables)
	}
	// Output:
	// zitadel.user.v2.UserService/LockUser rest [{user_id 42}]
	// zitadel.user.v2.UserService/LockUser grpc []
	// resolving operation: the path has a backslash or an escaped slash inside a segment; no identifier of ZITADEL has one
}

func ExampleParseHazard() {
	mints, _ := operation.ParseHazard("mints-credential")
	_, err := operation.ParseHazard("harmless")
	fmt.Println(mints)
	fmt.Println(err)
	// Output:
	// mints-credential
	// reading hazard class "harmless": no such class; use one of mints-credential, returns-code, plants-credential, grants-role, bulk, reaches-other-calls, own-user
}
