package main

import (
	"errors"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/confine"
	"github.com/zproxy/zproxy/internal/gateway"
)

// confinement is what the process keeps itself to. It is for good: no reload
// can widen it.
type confinement struct {
	file  string // the configuration's, "" without one
	on    bool
	files confine.Files

	limits confine.Limits
}

// confinement is the one of cfg.
func (f *runFlags) confinement(cfg *config.Config) *confinement {
	return &confinement{file: f.config, on: cfg.Confine, files: filesOf(cfg, f.config)}
}

// filesOf are those that serving by cfg opens, and the configuration itself,
// which reloads read.
func filesOf(cfg *config.Config, file string) confine.Files {
	files := gateway.FilesOf(cfg)
	return confine.Files{Read: append(files.Read, file), Write: files.Write, WriteDirs: files.Directories}
}

// apply confines the process, unless the configuration says not to.
func (c *confinement) apply(log zerolog.Logger) error {
	if !c.on {
		log.Warn().Msg("confinement is off: confine is false")
		return nil
	}
	c.limits = confine.LimitsOf(c.files)
	said, err := confine.Apply(c.files)
	if err == nil {
		log.Info().Msg(said)
	}
	return err
}

// permit says why a reload may not put cfg in the place of what serves.
func (c *confinement) permit(cfg *config.Config) error {
	if cfg.Confine != c.on {
		return errors.New("confine is settled when the process starts; restart zproxy to change it")
	}
	if !c.on || !confine.Supported() {
		return nil
	}
	return c.limits.Permit(filesOf(cfg, c.file))
}
