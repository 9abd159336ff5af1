package clientcert_test

import (
	"errors"
	"fmt"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/clientcert"
)

func ExampleNew() {
	_, err := clientcert.New(clientcert.Config{CAFile: "/nonexistent/ca.crt", Identity: []authn.Kind{authn.KindSPIFFE}})
	fmt.Println(err)
	// Output:
	// reading ca_file /nonexistent/ca.crt: stat /nonexistent/ca.crt: no such file or directory; create the file, or let the user that zproxy runs as read it
}

func ExampleRefusal() {
	err := fmt.Errorf("serving 10.1.0.7: %w", &authn.Error{Reason: clientcert.ReasonRevoked, Detail: "verifying client certificate: …"})
	if refused, ok := clientcert.Refusal(err); ok {
		fmt.Println(refused.Reason)
	}
	_, ok := clientcert.Refusal(errors.New("connection reset by peer"))
	fmt.Println(ok)
	// Output:
	// certificate_revoked
	// false
}

var _ authn.Authenticator = (*clientcert.Verifier)(nil)
