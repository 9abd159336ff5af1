package operation

import "strings"

// plain is an operation that no descriptor describes.
type plain struct {
	name      Name
	method    string
	template  string
	accepts   accepts
	changes   bool
	namesUser bool
	query     bool
	hazards   Hazards
}

// plains is the hand-written part of the catalogue. What is not in it is not
// reachable: the token, authorize, revoke, register, device and end-session
// endpoints, whose parameters are credentials; introspection, where ZITADEL
// takes the client's own credential from the header in which zproxy puts its
// own; the public download of assets by path; SAML, debug, metrics, reflection
// and the user interfaces.
func plains() []plain {
	list := []plain{
		{name: "oidc/discovery", method: "GET", template: "/.well-known/openid-configuration"},
		{name: "oidc/keys", method: "GET", template: "/oauth/v2/keys"},
		// The token may come in a header only: no form, no access_token in the query.
		{name: "oidc/userinfo", method: "GET", template: "/oidc/v1/userinfo", hazards: OwnUser},
		{name: "health/healthz", method: "GET", template: "/healthz"},
	}
	list = append(list, scim()...)
	return append(list, assets()...)
}

func scim() []plain {
	const org, user = "/scim/v2/{org_id}/", "Users/{user_id}"
	return []plain{
		{name: "scim/Users.List", method: "GET", template: org + "Users", accepts: acceptsSCIMNothing, query: true},
		{name: "scim/Users.Search", method: "POST", template: org + "Users/.search", accepts: acceptsSCIM, namesUser: true},
		{name: "scim/Users.Get", method: "GET", template: org + user, accepts: acceptsSCIMNothing, query: true},
		{name: "scim/Users.Create", method: "POST", template: org + "Users", accepts: acceptsSCIM, changes: true, namesUser: true, hazards: PlantsCredential},
		{name: "scim/Users.Replace", method: "PUT", template: org + user, accepts: acceptsSCIM, changes: true, namesUser: true, hazards: PlantsCredential},
		{name: "scim/Users.Update", method: "PATCH", template: org + user, accepts: acceptsSCIM, changes: true, namesUser: true, hazards: PlantsCredential},
		{name: "scim/Users.Delete", method: "DELETE", template: org + user, accepts: acceptsSCIMNothing, changes: true, hazards: Bulk},
		{name: "scim/Bulk", method: "POST", template: org + "Bulk", accepts: acceptsSCIM, changes: true, namesUser: true, hazards: PlantsCredential | Bulk},
		{name: "scim/ServiceProviderConfig.Get", method: "GET", template: org + "ServiceProviderConfig", accepts: acceptsSCIMNothing},
		{name: "scim/ResourceTypes.List", method: "GET", template: org + "ResourceTypes", accepts: acceptsSCIMNothing},
		{name: "scim/ResourceTypes.Get", method: "GET", template: org + "ResourceTypes/{name}", accepts: acceptsSCIMNothing},
		{name: "scim/Schemas.List", method: "GET", template: org + "Schemas", accepts: acceptsSCIMNothing},
		{name: "scim/Schemas.Get", method: "GET", template: org + "Schemas/{id}", accepts: acceptsSCIMNothing},
	}
}

// assets are the branding files of instance and organization, and the avatar
// of the token's own user. A logo or font changes what every login shows.
func assets() []plain {
	const prefix = "/assets/v1/"
	var list []plain
	for _, owner := range [...][2]string{{"instance", "Default"}, {"org", "Org"}} {
		for _, file := range [...]string{"logo", "logo/dark", "icon", "icon/dark", "font"} {
			path := prefix + owner[0] + "/policy/label/" + file
			kind, isDark := strings.CutSuffix(file, "/dark")
			name := owner[1] + "LabelPolicy" + strings.ToUpper(kind[:1]) + kind[1:]
			if isDark {
				name += "Dark"
			}
			list = append(list,
				plain{name: Name("assets/Upload" + name), method: "POST", template: path, accepts: acceptsUpload, changes: true, hazards: ReachesOtherCalls},
				plain{name: Name("assets/Get" + name), method: "GET", template: path},
				plain{name: Name("assets/GetPreview" + name), method: "GET", template: path + "/_preview"})
		}
	}
	return append(list,
		plain{name: "assets/UploadMyUserAvatar", method: "POST", template: prefix + "users/me/avatar", accepts: acceptsUpload, changes: true, hazards: OwnUser},
		plain{name: "assets/GetMyUserAvatar", method: "GET", template: prefix + "users/me/avatar", hazards: OwnUser})
}

// addPlain adds the hand-written operations behind the generated ones.
func (c *Catalogue) addPlain() error {
	for _, p := range plains() {
		body := p.accepts == acceptsJSON || p.accepts == acceptsSCIM || p.accepts == acceptsUpload
		op := &Operation{
			Name: p.name, Permission: "", Changes: p.changes, Hazards: p.hazards, NamesUser: p.namesUser,
			Routes: []Route{{Method: p.method, Template: p.template, Body: body, accepts: p.accepts}},
		}
		c.add(op)
		if err := c.addRoutes(op, protocolOf(p.template, ""), p.query); err != nil {
			return err
		}
	}
	return nil
}
