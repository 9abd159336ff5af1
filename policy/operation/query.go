package operation

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// maxPairs bounds the parameters of a query; ZITADEL's longest request message
// has far fewer fields.
const maxPairs = 256

// parseQuery reads a query that checkQuery let through, and returns its
// parameters and the one form in which they are forwarded. Whatever two parsers
// could read in two ways is refused: empty names, invalid escapes, invalid UTF-8.
func parseQuery(query string) ([]QueryPair, string, *Error) {
	if strings.Count(query, "&") >= maxPairs {
		return nil, "", fail(ReasonBadQuery, "the query has more than 256 parameters; send a smaller one")
	}
	pairs := make([]QueryPair, 0, strings.Count(query, "&")+1)
	var out strings.Builder
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		name, nameErr := url.QueryUnescape(name)
		value, valueErr := url.QueryUnescape(value)
		if nameErr != nil || valueErr != nil || !utf8.ValidString(name) || !utf8.ValidString(value) {
			return nil, "", fail(ReasonBadQuery, "the query has an invalid escape or is not UTF-8 behind its escapes")
		}
		if name == "" {
			return nil, "", fail(ReasonBadQuery, "the query has a parameter without a name")
		}
		pairs = append(pairs, QueryPair{Name: name, Value: value})
		if out.Len() > 0 {
			out.WriteByte('&')
		}
		out.WriteString(url.QueryEscape(name))
		out.WriteByte('=')
		out.WriteString(url.QueryEscape(value))
	}
	return pairs, out.String(), nil
}

// checkQuery refuses bytes that no query may have as they are (RFC 3986 section
// 3.4), also in a query that is going to be dropped.
func checkQuery(query string) *Error {
	for i := range len(query) {
		switch c := query[i]; {
		case c == '#':
			return fail(ReasonNotCanonical, "the request target has a fragment; leave it out")
		case c <= ' ' || c >= 0x7f || c == '\\' || c == '"' || c == '<' || c == '>':
			return fail(ReasonBadQuery, "the query has a character that must be escaped")
		case c == ';':
			return fail(ReasonBadQuery, "the query has a ';', which some servers take for a separator; write %3B for it")
		}
	}
	return nil
}
