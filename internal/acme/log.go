package acme

import (
	"strings"

	"github.com/rs/zerolog"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// maxText bounds a field: errors repeat what a server sent.
const maxText = 1 << 10

// bridge makes a zap logger, which certmagic wants, that writes to log; no text
// for which secret holds.
func bridge(log zerolog.Logger, secret func(string) bool) *zap.Logger {
	return zap.New(&core{log: log, secret: secret})
}

// contains holds a secret behind a function, since fmt prints the strings in a
// struct whatever their type says.
func contains(secret string) func(string) bool {
	return func(s string) bool { return secret != "" && strings.Contains(s, secret) }
}

// core is a [zapcore.Core] over zerolog. Of fields it writes texts, numbers,
// times and errors; it drops values of other types, which are whole headers and
// messages with nonces and tokens in them.
type core struct {
	log    zerolog.Logger
	secret func(string) bool
	fields []zapcore.Field
}

// Enabled implements [zapcore.LevelEnabler].
func (c *core) Enabled(l zapcore.Level) bool { return level(l) >= c.log.GetLevel() }

// With implements [zapcore.Core].
func (c *core) With(fields []zapcore.Field) zapcore.Core {
	return &core{log: c.log, secret: c.secret, fields: append(c.fields[:len(c.fields):len(c.fields)], fields...)}
}

// Check implements [zapcore.Core].
func (c *core) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

// Write implements [zapcore.Core].
func (c *core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	event := c.log.WithLevel(level(e.Level))
	if e.LoggerName != "" {
		event.Str("certmagic", strings.TrimPrefix(e.LoggerName, "."))
	}
	for _, list := range [][]zapcore.Field{c.fields, fields} {
		for _, f := range list {
			c.add(event, f)
		}
	}
	event.Msg(c.clean(e.Message))
	return nil
}

// Sync implements [zapcore.Core]; zerolog buffers nothing.
func (c *core) Sync() error { return nil }

// level maps by meaning. What zap would panic or exit for is an error here: a
// library does not end this process.
func level(l zapcore.Level) zerolog.Level {
	switch {
	case l < zapcore.InfoLevel:
		return zerolog.DebugLevel
	case l == zapcore.InfoLevel:
		return zerolog.InfoLevel
	case l == zapcore.WarnLevel:
		return zerolog.WarnLevel
	}
	return zerolog.ErrorLevel
}

func (c *core) add(event *zerolog.Event, f zapcore.Field) {
	encoded := zapcore.NewMapObjectEncoder()
	switch f.Type {
	case zapcore.StringType, zapcore.ErrorType, zapcore.ArrayMarshalerType,
		zapcore.BoolType, zapcore.DurationType, zapcore.TimeType, zapcore.TimeFullType,
		zapcore.Int64Type, zapcore.Int32Type, zapcore.Int16Type, zapcore.Int8Type,
		zapcore.Uint64Type, zapcore.Uint32Type, zapcore.Uint16Type, zapcore.Uint8Type,
		zapcore.Float64Type, zapcore.Float32Type:
		f.AddTo(encoded)
	}
	for key, value := range encoded.Fields {
		switch v := value.(type) {
		case string:
			event.Str(key, c.clean(v))
		case []any:
			event.Strs(key, c.texts(v))
		default:
			event.Interface(key, v)
		}
	}
}

// texts keeps the strings of a list; certmagic logs no other lists.
func (c *core) texts(list []any) []string {
	var out []string
	for _, v := range list {
		if s, ok := v.(string); ok {
			out = append(out, c.clean(s))
		}
	}
	return out
}

// clean hides a text with a secret, whole, and cuts a long one.
func (c *core) clean(s string) string {
	if c.secret(s) || strings.Contains(s, "PRIVATE KEY") {
		return "[redacted]"
	}
	if len(s) > maxText {
		return strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return s
}
