package deploytest_test

import (
	"testing"

	"sigs.k8s.io/yaml"
)

// configuration is what these tests read of one of zproxy's; that it is one
// zproxy says itself.
type configuration struct {
	Upstream  struct{ Issuer, Address string }
	Listeners []struct {
		Name, Address string
		TLS           struct {
			CertificateFile string `json:"certificate_file"`
			KeyFile         string `json:"key_file"`
		}
		AllowFrom []string `json:"allow_from"`
		Callers   struct {
			ClientCertificate struct {
				CAFile string `json:"ca_file"`
			} `json:"client_certificate"`
		}
	}
	ServiceUsers []struct {
		Name          string
		PrivateKeyJWT struct {
			KeyFile string `json:"key_file"`
		} `json:"private_key_jwt"`
		SystemUser struct {
			KeyFile string `json:"key_file"`
		} `json:"system_user"`
	} `json:"service_users"`
	Audit  struct{ File string }
	Admin  struct{ Address string }
	Limits struct {
		Drain      string
		DrainDelay string `json:"drain_delay"`
	}
}

func parseConfiguration(t *testing.T, text []byte) configuration {
	t.Helper()
	var c configuration
	check(t, yaml.Unmarshal(text, &c))
	return c
}

func composeConfiguration(t *testing.T) configuration {
	t.Helper()
	return parseConfiguration(t, read(t, "configs/compose/zproxy.yaml"))
}

// files are those that the configuration names.
func (c configuration) files() []string {
	var files []string
	add := func(names ...string) {
		for _, name := range names {
			if name != "" && name != "-" {
				files = append(files, name)
			}
		}
	}
	for _, l := range c.Listeners {
		add(l.TLS.CertificateFile, l.TLS.KeyFile, l.Callers.ClientCertificate.CAFile)
	}
	for _, u := range c.ServiceUsers {
		add(u.PrivateKeyJWT.KeyFile, u.SystemUser.KeyFile)
	}
	add(c.Audit.File)
	return files
}
