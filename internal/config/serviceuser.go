package config

import (
	"github.com/goccy/go-yaml/ast"
)

func (d *decoder) serviceUser(n ast.Node) ServiceUser {
	var u ServiceUser
	kinds := 0
	kind := func(read func(ast.Node)) func(ast.Node) {
		return func(n ast.Node) { kinds++; read(n) }
	}
	ok := d.mapping(n, keys{
		"name": func(n ast.Node) {
			if u.Name = d.name(n); u.Name == "caller" {
				d.wrong(n, "caller is what a rule says to pass the caller's own token", "choose another name")
			}
		},
		"private_key_jwt": kind(func(n ast.Node) {
			u.PrivateKeyJWT = new(PrivateKeyJWT)
			d.mapping(n, keys{
				"key_file": func(n ast.Node) { u.PrivateKeyJWT.KeyFile = d.text(n) },
				"rotate":   func(n ast.Node) { u.PrivateKeyJWT.Rotate = d.rotation(n) },
			}, "key_file: /run/secrets/key.json")
		}),
		"client_credentials": kind(func(n ast.Node) {
			c := new(ClientCredentials)
			u.ClientCredentials = c
			d.mapping(n, keys{
				"client_id":          func(n ast.Node) { c.ClientID = d.text(n) },
				"client_secret_file": func(n ast.Node) { c.ClientSecretFile = d.text(n) },
				"user_id":            func(n ast.Node) { c.UserID = d.userID(n) },
				"expires":            func(n ast.Node) { c.Expires = d.instant(n) },
			}, "client_id: <the service user's user name>", "client_secret_file: /run/secrets/client.secret")
		}),
		"personal_access_token": kind(func(n ast.Node) {
			p := new(PersonalAccessToken)
			u.PersonalAccessToken = p
			d.mapping(n, keys{
				"token_file": func(n ast.Node) { p.TokenFile = d.text(n) },
				"user_id":    func(n ast.Node) { p.UserID = d.userID(n) },
				"expires":    func(n ast.Node) { p.Expires = d.instant(n) },
			}, "token_file: /run/secrets/token.pat")
		}),
		"system_user": kind(func(n ast.Node) {
			s := new(SystemUser)
			u.SystemUser = s
			d.mapping(n, keys{
				"user":     func(n ast.Node) { s.User = d.text(n) },
				"key_file": func(n ast.Node) { s.KeyFile = d.text(n) },
				"audience": func(n ast.Node) {
					if u := d.publicOrigin(n); u != nil {
						s.Audience = u.String()
					}
				},
			}, "user: <its name in ZITADEL's SystemAPIUsers>", "key_file: /run/secrets/system.pem", "audience: https://acme.zitadel.cloud")
		}),
	}, "name: <what rules call it>")
	if ok && kinds != 1 {
		d.wrong(n, "exactly one kind of credential is needed", "keep one of private_key_jwt, client_credentials, personal_access_token and system_user")
	}
	return u
}

// userID reads a ZITADEL user id. A short one would be mentioned by accident:
// requests that mention it are refused.
func (d *decoder) userID(n ast.Node) string {
	s := d.text(n)
	if s != "" && len(s) < 8 {
		d.wrong(n, "a user id is longer than that", "copy it from ZITADEL: 18 digits or so, quoted")
	}
	return s
}
