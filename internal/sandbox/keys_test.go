package sandbox_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/sandbox"
	"github.com/zproxy/zproxy/internal/zitadel"
)

func statusOf(err error) int {
	var e *zitadel.StatusError
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// Keys are registered as with ZITADEL: for oneself without a role, with an end,
// as PKIX in PEM; a removed one is a server error, and its tokens stay good.
func TestKeysBehaveAsZITADELs(t *testing.T) {
	s, id := start(t)
	ctx, client := context.Background(), zitadel.New(s.Issuer(), nil, &http.Transport{DisableKeepAlives: true})
	nobody := s.AddMachineUser("nobody")
	own := []string{"Bearer " + s.AddPAT(nobody)}
	pair, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkix, err := x509.MarshalPKIXPublicKey(&pair.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	good := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix})
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&pair.PublicKey)})
	later := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		user   string
		key    []byte
		expiry time.Time
		status int
	}{
		"Own": {nobody, good, later, 0}, "Again": {nobody, good, later, 0}, "Others": {id, good, later, 404},
		"PKCS1": {nobody, pkcs1, later, 400}, "Ended": {nobody, good, time.Now().Add(-time.Minute), 400},
	} {
		if _, err := client.AddKey(ctx, own, c.user, c.key, c.expiry); statusOf(err) != c.status || (err == nil) != (c.status == 0) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if code, _ := call(t, http.MethodPost, s.Issuer().String()+"/v2/users/"+nobody+"/keys", own[0][len("Bearer "):], "{}"); code != 400 {
		t.Errorf("without an end: %d", code)
	}
	if all, err := client.Keys(ctx, own, nobody); err != nil || len(all) != 2 || all[0].ID == all[1].ID {
		t.Errorf("%v, %v", all, err)
	}
	removedKey(t, s, client, nobody, own)
}

func removedKey(t *testing.T, s *sandbox.Sandbox, client *zitadel.Client, user string, own []string) {
	t.Helper()
	ctx := context.Background()
	content, err := s.KeyFile(user)
	if err != nil {
		t.Fatal(err)
	}
	key, err := serviceuser.ParseKeyFile(content)
	if err != nil {
		t.Fatal(err)
	}
	tokens := serviceuser.Config{Name: "nobody", Issuer: s.Issuer()}
	token, err := serviceuser.Fetch(ctx, tokens, key)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // one that is gone is removed already
		if err := client.RemoveKey(ctx, own, user, key.KeyID); err != nil {
			t.Fatal(err)
		}
	}
	var refused *serviceuser.FetchError
	if _, err := serviceuser.Fetch(ctx, tokens, key); !errors.As(err, &refused) || refused.Status != http.StatusInternalServerError {
		t.Errorf("with the removed key: %v", err)
	}
	if me, err := client.Me(ctx, token.Authorization); err != nil || me.ID != user {
		t.Errorf("its token: %v, %v", me, err)
	}
}

func TestManagersAreMadeOnceForAResourceThatIs(t *testing.T) {
	s, _ := start(t)
	ctx, client := context.Background(), zitadel.New(s.Issuer(), nil, &http.Transport{DisableKeepAlives: true})
	owner, robot := []string{"Bearer " + s.AddPAT(s.AddMachineUser("owner", "IAM_OWNER"))}, s.AddMachineUser("robot")
	org := zitadel.Resource{Organization: sandbox.Organization}
	for _, c := range []struct {
		resource zitadel.Resource
		role     string
		status   int
	}{
		{org, "ORG_OWNER_VIEWER", 0}, {org, "ORG_OWNER_VIEWER", 409}, {org, "IAM_OWNER", 400}, {zitadel.Resource{}, "ORG_OWNER", 400},
		{zitadel.Resource{Organization: "17"}, "ORG_OWNER", 400}, {zitadel.Resource{}, "IAM_OWNER_VIEWER", 0},
	} {
		err := client.CreateAdministrator(ctx, owner, zitadel.Administrator(robot, c.resource, []string{c.role}))
		if statusOf(err) != c.status || (err == nil) != (c.status == 0) {
			t.Errorf("%s %s: %v", c.role, c.resource, err)
		}
	}
	if err := client.UpdateAdministrator(ctx, owner, zitadel.Administrator(robot, org, []string{"ORG_OWNER"})); err != nil {
		t.Error(err)
	}
	all, err := client.Administrators(ctx, owner, robot)
	if err != nil || len(all) != 2 || all[0].String() != "ORG_OWNER in organization "+sandbox.Organization || all[1].String() != "IAM_OWNER_VIEWER on the instance" {
		t.Errorf("%v, %v", all, err)
	}
	nobody := []string{"Bearer " + s.AddPAT(robot)}
	s.Lock(robot)
	if err := client.CreateAdministrator(ctx, nobody, zitadel.Administrator(robot, org, []string{"ORG_OWNER"})); statusOf(err) != http.StatusUnauthorized {
		t.Errorf("a locked user: %v", err)
	}
}
