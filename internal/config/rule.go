package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

func (d *decoder) rule(n ast.Node) Rule {
	var r Rule
	d.mapping(n, keys{
		"name":          func(n ast.Node) { r.Name = d.name(n) },
		"callers":       func(n ast.Node) { r.Callers = d.someTexts(n) },
		"operations":    func(n ast.Node) { r.Operations = d.someTexts(n) },
		"except":        func(n ast.Node) { r.Except = d.texts(n) },
		"hazards":       func(n ast.Node) { r.Hazards = d.texts(n) },
		"organizations": func(n ast.Node) { r.Organizations = d.someTexts(n) },
		"when":          func(n ast.Node) { r.When = d.prose(n) },
		"learn":         func(n ast.Node) { r.Learn = d.boolean(n) },
		"until":         func(n ast.Node) { r.Until = d.instant(n) },
		"as":            func(n ast.Node) { r.As = d.text(n) },
		"shadow":        func(n ast.Node) { r.Shadow = d.boolean(n) },
		"limit":         func(n ast.Node) { r.Limit = d.limit(n) },
	}, "name: <what records call it>", `callers: ["anonymous:local"]`, "operations: [zitadel.user.v2.UserService/ListUsers]", "as: <a service user>, or as: caller")
	return r
}

// someTexts reads a list that must not be empty: nothing is never anything.
func (d *decoder) someTexts(n ast.Node) []string {
	before := len(d.faults)
	out := d.texts(n)
	if len(out) == 0 && len(d.faults) == before {
		d.wrong(n, "the list is empty, and an empty list never means everything", "name at least one, or remove the rule")
	}
	return out
}

// references checks what several parts say about each other.
func (c *Config) references(usersRead bool) Faults {
	var faults Faults
	fault := func(path, message, fix string) { faults = append(faults, c.Fault(path, path+": "+message, fix)) }
	unique := func(what, format string, names []string) {
		for i, name := range names {
			if j := slices.Index(names, name); j < i && name != "" {
				fault(fmt.Sprintf(format, i), fmt.Sprintf("the %s %s is there already", what, name), "give each a name of its own")
			}
		}
	}
	var listeners, users, rules []string
	for _, l := range c.Listeners {
		listeners = append(listeners, l.Name)
	}
	for _, u := range c.ServiceUsers {
		users = append(users, u.Name)
	}
	for _, r := range c.Rules {
		rules = append(rules, r.Name)
	}
	unique("listener", "listeners[%d].name", listeners)
	unique("service user", "service_users[%d].name", users)
	unique("rule", "rules[%d].name", rules)
	c.addresses(fault)
	c.issuers(fault)
	for i, r := range c.Rules {
		if r.As != "" && r.As != "caller" && usersRead && !slices.Contains(users, r.As) {
			fix := "name one of service_users, or caller"
			if near := nearest(r.As, users); near != "" {
				fix = "did you mean " + near + "?"
			}
			fault(fmt.Sprintf("rules[%d].as", i), "there is no service user "+r.As, fix)
		}
	}
	return faults
}

// addresses finds addresses that two sockets would want. Port 0 is any free one.
func (c *Config) addresses(fault func(path, message, fix string)) {
	taken := make(map[string]string)
	take := func(path, network, address, by string) {
		if address == "" || network == "tcp" && strings.HasSuffix(address, ":0") {
			return
		}
		if other, ok := taken[address]; ok {
			fault(path, address+" is the address of "+other+" already", "give each listener an address of its own")
			return
		}
		taken[address] = by
	}
	for i, l := range c.Listeners {
		take(fmt.Sprintf("listeners[%d].address", i), l.Network, l.Address, "listener "+l.Name)
	}
	if c.Admin != nil {
		take("admin.address", "tcp", c.Admin.Address, "the admin listener")
	}
}
