package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/policy/operation"
)

// runFlags are the flags of run: a file, or what a small file would say.
type runFlags struct {
	config, logFormat, logLevel string

	issuer, address, listen, audit string
	key, clientID, secret, token   string
	allow                          []string
}

// conflicts finds flags that say different things; given tells which were given.
func (f *runFlags) conflicts(given func(string) bool) error {
	if given("config") {
		for _, name := range []string{"issuer", "address", "key", "client-id", "client-secret-file", "token-file", "allow", "listen", "audit"} {
			if given(name) {
				return usage("write it into the file, or leave --config out", "--%s does not go with --config, whose file says it", name)
			}
		}
	}
	credentials := 0
	for _, name := range []string{"key", "client-id", "token-file"} {
		if given(name) {
			credentials++
		}
	}
	if credentials > 1 {
		return usage("keep one of them; several service users need a file", "--key, --client-id and --token-file are credentials of different kinds")
	}
	if given("client-id") != given("client-secret-file") {
		return usage("give both", "--client-id and --client-secret-file belong together")
	}
	return nil
}

// configuration is the file's, or one made of the flags and read as a file
// would be, so that both are checked alike.
func (f *runFlags) configuration() (*config.Config, error) {
	if f.config != "" {
		return load(f.config)
	}
	if f.issuer == "" {
		return nil, usage("give --config zproxy.yaml, or --issuer, --key and --allow", "no configuration is given")
	}
	user := ""
	switch {
	case f.key != "":
		user = fmt.Sprintf("private_key_jwt: {key_file: %q}", f.key)
	case f.clientID != "":
		user = fmt.Sprintf("client_credentials: {client_id: %q, client_secret_file: %q}", f.clientID, f.secret)
	case f.token != "":
		user = fmt.Sprintf("personal_access_token: {token_file: %q}", f.token)
	default:
		return nil, usage("give --key key.json, --client-id with --client-secret-file, or --token-file", "--issuer needs the credential of a service user")
	}
	if len(f.allow) == 0 {
		return nil, usage("for example --allow 'UserService/List*'; `zproxy operations` lists them", "--issuer needs at least one --allow: nothing is allowed by default")
	}
	operations, err := expand(f.allow)
	if err != nil {
		return nil, err
	}
	address := ""
	if f.address != "" {
		address = fmt.Sprintf(", address: %q", f.address)
	}
	text := fmt.Sprintf(`version: 1 # one line for each of lineFlags
upstream: {issuer: %q%s}
listeners: [{name: local, address: %q, callers: {anonymous: local}}]
service_users: [{name: service-user, %s}]
rules: [{name: allow, callers: ["anonymous:local"], operations: [%s], as: service-user}]
audit: {file: %q}
hints: true
`, f.issuer, address, f.listen, user, strings.Join(operations, ", "), f.audit)
	cfg, err := config.Parse("the command line", []byte(text))
	return cfg, f.named(err)
}

// lineFlags are the flags that each line of the configuration is made of.
func lineFlags() []string {
	return []string{"--config", "--issuer and --address", "--listen", "the credential flags", "--allow", "--audit", "--hints"}
}

// named gives faults of a configuration that was made of flags the flag as
// their place: nobody wrote the lines that they would point to.
func (f *runFlags) named(err error) error {
	var faults config.Faults
	if f.config != "" || !errors.As(err, &faults) {
		return err
	}
	out := make(config.Faults, len(faults))
	for i, fault := range faults {
		out[i] = config.Fault{File: "the command line", Message: fault.Message, Fix: fault.Fix}
		if flags := lineFlags(); fault.Line >= 1 && fault.Line <= len(flags) {
			out[i].File = flags[fault.Line-1]
		}
	}
	return out
}

// checkHint points to check, which takes a file only.
func (f *runFlags) checkHint() string {
	if f.config == "" {
		return ""
	}
	return "`zproxy check --config " + f.config + "` tells everything that is wrong at once"
}

// expand completes short names, UserService/List*, to those of the current
// version of the service. A hazardous operation stays refused: accepting its
// hazards takes a configuration file.
func expand(names []string) ([]string, error) {
	catalogue, err := operation.Default()
	if err != nil {
		return nil, err
	}
	operations := make([]string, len(names))
	for i, name := range names {
		full, err := complete(catalogue, name)
		if err != nil {
			return nil, err
		}
		operations[i] = strconv.Quote(full)
	}
	return operations, nil
}

// complete finds the one service that a short name means: of several versions the v2.
func complete(catalogue *operation.Catalogue, name string) (string, error) {
	service, method, ok := strings.Cut(name, "/")
	if !ok {
		return "", usage("write Service/Method, such as UserService/ListUsers or UserService/List*", "%q names no operation", name)
	}
	if strings.Contains(service, ".") || slices.Contains(catalogue.Services(), service) {
		return name, nil
	}
	var found []string
	for _, s := range catalogue.Services() {
		if strings.HasSuffix(s, "."+service) {
			found = append(found, s)
		}
	}
	if current := slices.DeleteFunc(slices.Clone(found), func(s string) bool { return !strings.Contains(s, ".v2.") }); len(current) == 1 {
		found = current
	}
	switch len(found) {
	case 0:
		return "", usage("`zproxy operations` lists them", "ZITADEL has no service called %q", service)
	case 1:
		return found[0] + "/" + method, nil
	}
	return "", usage("write one in full: "+strings.Join(found, ", "), "%q could be one of several services", service)
}
