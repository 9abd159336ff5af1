package gateway

import "github.com/zproxy/zproxy/internal/config"

// Files are those that serving opens, now or later.
type Files struct {
	Read        []string
	Write       []string // made, written and removed
	Directories []string // below which files are made
}

// FilesOf are the files that cfg names.
func FilesOf(cfg *config.Config) Files {
	f := Files{Read: []string{cfg.Upstream.CAFile}}
	if t := cfg.Upstream.TLS; t != nil {
		f.Read = append(f.Read, t.CertificateFile, t.KeyFile)
	}
	for _, u := range cfg.ServiceUsers {
		switch {
		case u.PrivateKeyJWT != nil:
			f.Read = append(f.Read, u.PrivateKeyJWT.KeyFile)
			if u.PrivateKeyJWT.Rotate != nil { // it is replaced, and what is under way stands beside it
				f.Write = append(f.Write, u.PrivateKeyJWT.KeyFile)
			}
		case u.ClientCredentials != nil:
			f.Read = append(f.Read, u.ClientCredentials.ClientSecretFile)
		case u.PersonalAccessToken != nil:
			f.Read = append(f.Read, u.PersonalAccessToken.TokenFile)
		case u.SystemUser != nil:
			f.Read = append(f.Read, u.SystemUser.KeyFile)
		}
	}
	for _, l := range cfg.Listeners {
		if l.Network == "unix" {
			f.Write = append(f.Write, l.Address)
		}
		if c := l.ClientCertificate; c != nil {
			f.Read = append(f.Read, c.CAFile, c.CRLFile)
		}
		for _, i := range l.BearerJWT {
			f.Read = append(f.Read, i.JWKSFile, i.CAFile, i.BearerTokenFile)
		}
		if l.TLS == nil {
			continue
		}
		f.Read = append(f.Read, l.TLS.CertificateFile, l.TLS.KeyFile)
		if a := l.TLS.ACME; a != nil {
			f.Read = append(f.Read, a.CAFile, a.EABKeyFile)
			f.Directories = append(f.Directories, a.Storage)
		}
	}
	if cfg.Audit.File != "-" {
		f.Write = append(f.Write, cfg.Audit.File)
	}
	return f
}
