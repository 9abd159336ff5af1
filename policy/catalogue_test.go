package policy_test

import (
	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/policy/operation"
)

// catalogue stands for ZITADEL's: small, with each thing that policies tell apart.
type catalogue []*operation.Operation

func (c catalogue) Operations() []*operation.Operation { return c }

func (c catalogue) named(name string) *operation.Operation {
	for _, op := range c {
		if string(op.Name) == name {
			return op
		}
	}
	return nil
}

const (
	getUser    = "zitadel.user.v2.UserService/GetUserByID"
	listUsers  = "zitadel.user.v2.UserService/ListUsers"
	listKeys   = "zitadel.user.v2.UserService/ListKeys"
	addKey     = "zitadel.user.v2.UserService/AddKey"
	setMail    = "zitadel.user.v2.UserService/SetEmail"
	oldOrg     = "zitadel.org.v1.OrgService/GetOrg"
	getMyUser  = "zitadel.auth.v1.AuthService/GetMyUser"
	addMyOTP   = "zitadel.auth.v1.AuthService/AddMyAuthFactorOTP"
	userinfo   = "oidc/userinfo"
	myAvatar   = "assets/UploadMyUserAvatar"
	newMethod  = "zitadel.user.v2.UserService/ListNew"
	otherUsers = "zitadel.user.v2beta.UserService/ListUsers"
)

func newCatalogue() catalogue {
	c := catalogue{
		{Name: getUser}, {Name: listUsers}, {Name: listKeys},
		{Name: addKey, Changes: true, NamesUser: true, Hazards: operation.MintsCredential | operation.PlantsCredential | operation.OwnUser},
		{Name: setMail, Hazards: operation.ReturnsCode},
		{Name: oldOrg, Deprecated: true},
		{Name: getMyUser, Hazards: operation.OwnUser},
		{Name: addMyOTP, Changes: true, Hazards: operation.OwnUser | operation.MintsCredential},
		{Name: userinfo}, {Name: newMethod, Unlisted: true}, {Name: otherUsers},
		{Name: myAvatar, Changes: true, Hazards: operation.OwnUser},
	}
	for i, op := range c {
		op.Index = i
	}
	return c
}

func caller(s string) authn.Caller {
	c, err := authn.ParseCaller(s)
	if err != nil {
		panic(err)
	}
	return c
}
