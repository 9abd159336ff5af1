package workload

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4/json"
	"github.com/golang-jwt/jwt/v5"
)

// maxDate is the last second of the year 9999.
const maxDate = 253402300799

// object is a JSON object's members, not yet decoded.
type object map[string]json.RawMessage

// members reads an object. go-jose's decoder refuses a member that is there
// twice and takes names for what they are, where encoding/json reads the last
// and ignores case: two readers of one token could see two subjects.
func members(text []byte) (object, error) {
	if !utf8.Valid(text) { // decoders replace what is invalid
		return nil, errors.New("is not UTF-8")
	}
	var all object
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	if all == nil {
		return nil, errors.New("is null")
	}
	return all, nil
}

// text returns a string, "" if it is not there.
func (o object) text(name string) (s string, err error) {
	value, ok := o[name]
	if !ok {
		return "", nil
	}
	if value[0] != '"' || json.Unmarshal(value, &s) != nil {
		return "", fmt.Errorf("%s is no string", name)
	}
	return s, nil
}

// list returns strings, none if it is not there.
func (o object) list(name string) (all []string, err error) {
	value, ok := o[name]
	if !ok {
		return nil, nil
	}
	var each []*string // null would pass for "" otherwise
	if value[0] != '[' || json.Unmarshal(value, &each) != nil || slices.Contains(each, nil) {
		return nil, fmt.Errorf("%s is no list of strings", name)
	}
	for _, s := range each {
		all = append(all, *s)
	}
	return all, nil
}

// oneOrMore returns a string or several, as RFC 7519 section 4.1.3 writes aud.
func (o object) oneOrMore(name string) ([]string, error) {
	if value, ok := o[name]; ok && value[0] == '"' {
		s, err := o.text(name)
		return []string{s}, err
	}
	all, err := o.list(name)
	if err != nil {
		return nil, fmt.Errorf("%s is neither a string nor a list of strings", name)
	}
	return all, nil
}

// date returns a NumericDate (RFC 7519 section 2), nil if it is not there.
func (o object) date(name string) (*jwt.NumericDate, error) {
	value, ok := o[name]
	if !ok {
		return nil, nil
	}
	seconds, err := strconv.ParseFloat(string(value), 64)
	if c := value[0]; c < '0' || c > '9' || err != nil || seconds > maxDate {
		return nil, fmt.Errorf("%s is no number of seconds since 1970", name)
	}
	whole, part := math.Modf(seconds)
	return &jwt.NumericDate{Time: time.Unix(int64(whole), int64(part*1e9))}, nil
}
