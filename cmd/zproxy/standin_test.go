package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/sandbox"
	"github.com/zproxy/zproxy/internal/zitadel"
)

// standIn is the ZITADEL of a script, and the key of it among the script's values.
type standIn struct{ *sandbox.Sandbox }

func standInOf(ts *testscript.TestScript) *standIn {
	s, ok := ts.Value(standIn{}).(*standIn)
	if !ok {
		ts.Fatalf("the script has no ZITADEL")
	}
	return s
}

// user finds the id of a user by its name.
func (s *standIn) user(ts *testscript.TestScript, name string) string {
	id := s.Users()[name]
	if id == "" {
		ts.Fatalf("ZITADEL has no user %s", name)
	}
	return id
}

// countKeys (keys USER NUMBER) compares the number of a user's keys; (! keys
// USER) makes sure that there is no such user.
func countKeys(ts *testscript.TestScript, neg bool, args []string) {
	s := standInOf(ts)
	if neg {
		if s.Users()[args[0]] != "" {
			ts.Fatalf("ZITADEL has a user %s", args[0])
		}
		return
	}
	if n := len(s.Keys(s.user(ts, args[0]))); strconv.Itoa(n) != args[1] {
		ts.Fatalf("%s has %d keys", args[0], n)
	}
}

// compareRoles (roles USER 'WHERE: ROLES'...) compares a user's manager roles.
func compareRoles(ts *testscript.TestScript, _ bool, args []string) {
	s := standInOf(ts)
	var all []string
	for where, roles := range s.Roles(s.user(ts, args[0])) {
		all = append(all, fmt.Sprintf("%s: %s", where, strings.Join(roles, " ")))
	}
	slices.Sort(all)
	if !slices.Equal(all, args[1:]) {
		ts.Fatalf("%s has %q", args[0], all)
	}
}

// crowd (crowd) adds those whom bootstrap stumbles over: nobody, a manager of
// nothing, whose token is nobody.pat; elsewhere, in another organization; locked;
// and the key files reader-removed.json, of a key that is gone, and foreign.json,
// of a user that never was.
func crowd(ts *testscript.TestScript, _ bool, _ []string) {
	s, ctx := standInOf(ts), context.Background()
	client := zitadel.New(s.Issuer(), nil, &http.Transport{DisableKeepAlives: true})
	admin := []string{"Bearer " + strings.TrimSpace(ts.ReadFile("admin.pat"))}
	_, err := client.CreateMachineUser(ctx, admin, zitadel.MachineUser(s.AddOrganization("Elsewhere"), "elsewhere", ""))
	ts.Check(err)
	s.Lock(s.AddMachineUser("locked"))
	reader := s.user(ts, "reader")
	removed, err := s.KeyFile(reader)
	ts.Check(err)
	key, err := serviceuser.ParseKeyFile(removed)
	ts.Check(err)
	ts.Check(client.RemoveKey(ctx, admin, reader, key.KeyID))
	for name, text := range map[string]string{
		"nobody.pat": s.AddPAT(s.AddMachineUser("nobody")), "reader-removed.json": string(removed),
		"foreign.json": strings.ReplaceAll(string(removed), reader, "1700000000"),
	} {
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

// replaced (replaced FILE COPY) waits until FILE is no longer as COPY is.
func replaced(ts *testscript.TestScript, _ bool, args []string) {
	was := ts.ReadFile(args[1])
	for range 3000 {
		if ts.ReadFile(args[0]) != was {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("%s was not replaced within 30 s", args[0])
}
