package gateway_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/internal/sandbox"
)

func TestFilesTellWhoOurOwnUsersAre(t *testing.T) {
	s, err := sandbox.Start(sandbox.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	id := s.AddMachineUser("key", "ORG_OWNER")
	key, err := s.KeyFile(id)
	check(t, err)
	file, broken := filepath.Join(t.TempDir(), "key.json"), filepath.Join(t.TempDir(), "broken.json")
	write(t, file, string(key))
	write(t, broken, "{}")
	jwt := func(name, file string) config.ServiceUser {
		return config.ServiceUser{Name: name, PrivateKeyJWT: &config.PrivateKeyJWT{KeyFile: file}}
	}
	cfg := &config.Config{ServiceUsers: []config.ServiceUser{
		jwt("key", file), jwt("broken", broken), jwt("gone", file+".old"),
		{Name: "pat", PersonalAccessToken: &config.PersonalAccessToken{UserID: "1"}}, {Name: "secret", ClientCredentials: &config.ClientCredentials{}},
		{Name: "platform", SystemUser: &config.SystemUser{}},
	}}
	ids, unknown := gateway.OwnUserIDs(cfg)
	if !slices.Equal(ids, []string{id, "1"}) || !slices.Equal(unknown, []string{"broken", "gone", "secret"}) {
		t.Errorf("known are %q, unknown %q", ids, unknown)
	}
}
