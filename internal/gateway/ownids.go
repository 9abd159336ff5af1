package gateway

import (
	"os"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/config"
)

// OwnUserIDs are the ids of the service users of cfg as far as cfg and key files
// tell them, and the names of the others, whose ids are learned from ZITADEL.
func OwnUserIDs(cfg *config.Config) (ids, unknown []string) {
	for _, u := range cfg.ServiceUsers {
		if u.SystemUser != nil { // no user of the instance
			continue
		}
		if id := ownUserID(u); id != "" {
			ids = append(ids, id)
		} else {
			unknown = append(unknown, u.Name)
		}
	}
	return ids, unknown
}

func ownUserID(u config.ServiceUser) string {
	switch {
	case u.ClientCredentials != nil:
		return u.ClientCredentials.UserID
	case u.PersonalAccessToken != nil:
		return u.PersonalAccessToken.UserID
	}
	text, err := os.ReadFile(u.PrivateKeyJWT.KeyFile)
	if err != nil {
		return ""
	}
	file, err := serviceuser.ParseKeyFile(text)
	if err != nil {
		return ""
	}
	return file.UserID
}
