package proxy

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/zproxy/zproxy/policy/operation"
)

const fuzzedID = "287345091734099999"

// Whatever a JSON decoder finds in a body, the search by mention finds too.
func FuzzNoJSONHidesAMention(f *testing.F) {
	for _, seed := range []string{
		`{"userId":"287345091734099999"}`, `{"userId":"\u003287345091734099999"}`, `{"a":["x",{"b":"\u0032\u0038\u0037345091734099999"}]}`,
		`{"a":"\\u0032","b":"287345091734099999"}`, `"\\\u003287345091734099999"`, `{"\u003287345091734099999":1}`, `"28\/7"`, `[287345091734099999]`, `"\ud83d\ude00287345091734099999"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var value any
		if json.Unmarshal([]byte(text), &value) != nil {
			return
		}
		found, err := bodyMentions([]byte(text), bodyForm{protocol: operation.Connect}, []string{fuzzedID}, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if holds(value, fuzzedID) && !found {
			t.Errorf("%q holds the id and no mention was found", text)
		}
	})
}

// Ids that somebody chose may have any character.
func TestPairsOfEscapesAreOneCharacter(t *testing.T) {
	for text, want := range map[string]string{
		`\ud83d\ude00`: "😀", `a\ud83d\ude00b`: "a😀b", `\uD83D\uDE00\u0041`: "😀A",
		`\ud83d`: "\ufffd", `\ud83dx`: "\ufffdx", `\ud83d\u0041`: "\ufffdA", `\ud83d\ud83d\ude00`: "\ufffd😀", `\ud83d\n`: "\ufffdn",
	} {
		if got := string(unescape([]byte(text))); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// holds tells whether a decoded value has a string or key with id in it.
func holds(v any, id string) bool {
	switch v := v.(type) {
	case string:
		return strings.Contains(v, id)
	case []any:
		for _, item := range v {
			if holds(item, id) {
				return true
			}
		}
	case map[string]any:
		for k, item := range v {
			if strings.Contains(k, id) || holds(item, id) {
				return true
			}
		}
	}
	return false
}

// plenty is memory without end.
type plenty struct{}

func (plenty) take(int64) bool { return true }

// Whatever frames come in, the search neither fails nor misses a field that
// holds the id.
func FuzzNoFrameHidesAMention(f *testing.F) {
	field := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), fuzzedID)
	f.Add([]byte{}, field, []byte{})
	f.Add(frame(0, []byte("before")), field, frame(0, nil))
	f.Add([]byte{1, 0, 0, 0, 0}, field, []byte{0})
	f.Fuzz(func(t *testing.T, before, message, after []byte) {
		body := append(append(append([]byte(nil), before...), frame(0, message)...), after...)
		found, err := framesMention(body, "gzip", []string{fuzzedID}, 1<<20, plenty{})
		if err != nil {
			return // refused
		}
		if aligned(before) && strings.Contains(string(message), fuzzedID) && !found {
			t.Errorf("a message holds the id and no mention was found: % x", body)
		}
	})
}

// aligned tells whether b is whole frames.
func aligned(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 5 {
			return false
		}
		size := int(b[1])<<24 | int(b[2])<<16 | int(b[3])<<8 | int(b[4])
		if size > len(b)-5 {
			return false
		}
		b = b[5+size:]
	}
	return true
}
