package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// schema is a JSON schema (draft 2020-12), as much of it as the published one uses.
type schema map[string]any

func readSchema(t *testing.T) schema {
	t.Helper()
	text, err := os.ReadFile("../../configs/zproxy.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// errors are what root says against v at a place. A keyword that is not known
// here panics: the test would prove nothing about it.
func (root schema) errors(s schema, v any, place string) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, place+": "+fmt.Sprintf(format, args...)) }
	for keyword, arg := range s {
		switch keyword {
		case "$schema", "$defs", "title", "description", "properties":
		case "$ref":
			out = append(out, root.errors(root.resolve(s), v, place)...)
		case "type":
			if !isType(v, arg.(string)) {
				say("%v is no %s", v, arg)
			}
		case "const":
			if fmt.Sprint(v) != fmt.Sprint(arg) || (reflect.TypeOf(v) == reflect.TypeFor[string]()) != (reflect.TypeOf(arg) == reflect.TypeFor[string]()) {
				say("%v is not %v", v, arg)
			}
		case "enum":
			if !slices.Contains(arg.([]any), v) {
				say("%v is none of %v", v, arg)
			}
		case "not":
			if len(root.errors(arg.(map[string]any), v, place)) == 0 {
				say("not this")
			}
		case "oneOf":
			valid := 0
			for _, one := range arg.([]any) {
				if len(root.errors(one.(map[string]any), v, place)) == 0 {
					valid++
				}
			}
			if valid != 1 {
				say("%d of oneOf", valid)
			}
		case "pattern", "minLength":
			if text, ok := v.(string); ok && !matchesText(text, keyword, arg) {
				say("%q is against %s %v", text, keyword, arg)
			}
		case "minimum", "maximum":
			if n, ok := number(v); ok && (keyword == "minimum" && n < arg.(float64) || keyword == "maximum" && n > arg.(float64)) {
				say("%v is beyond %s", v, keyword)
			}
		case "minItems", "maxItems", "items":
			if list, ok := v.([]any); ok {
				out = append(out, root.listErrors(keyword, arg, list, place)...)
			}
		case "required", "additionalProperties", "propertyNames", "minProperties", "maxProperties":
			if object, ok := v.(map[string]any); ok {
				out = append(out, root.objectErrors(s, keyword, object, place)...)
			}
		default:
			panic("the keyword " + keyword + " is not known to this test")
		}
	}
	if object, ok := v.(map[string]any); ok {
		for key, property := range s.properties() {
			if value, has := object[key]; has {
				out = append(out, root.errors(property, value, place+"."+key)...)
			}
		}
	}
	return out
}

func (root schema) listErrors(keyword string, arg any, list []any, place string) []string {
	switch keyword {
	case "minItems", "maxItems":
		n := float64(len(list))
		if keyword == "minItems" && n < arg.(float64) || keyword == "maxItems" && n > arg.(float64) {
			return []string{place + ": " + keyword}
		}
		return nil
	}
	var out []string
	for i, item := range list {
		out = append(out, root.errors(arg.(map[string]any), item, fmt.Sprintf("%s[%d]", place, i))...)
	}
	return out
}

func (root schema) objectErrors(s schema, keyword string, object map[string]any, place string) []string {
	var out []string
	n := float64(len(object))
	switch keyword {
	case "required":
		for _, key := range s.required() {
			if _, ok := object[key]; !ok {
				out = append(out, place+": no "+key)
			}
		}
	case "minProperties", "maxProperties":
		if keyword == "minProperties" && n < s[keyword].(float64) || keyword == "maxProperties" && n > s[keyword].(float64) {
			out = append(out, place+": "+keyword)
		}
	case "propertyNames":
		for key := range object {
			out = append(out, root.errors(s[keyword].(map[string]any), key, place)...)
		}
	case "additionalProperties":
		for key, value := range object {
			if _, known := s.properties()[key]; known {
				continue
			}
			if of, ok := s[keyword].(map[string]any); ok {
				out = append(out, root.errors(of, value, place+"."+key)...)
			} else {
				out = append(out, place+": unknown "+key)
			}
		}
	}
	return out
}

// resolve follows "#/$defs/<name>".
func (root schema) resolve(s schema) schema {
	ref, ok := s["$ref"].(string)
	if !ok {
		return s
	}
	return root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
}

func (s schema) properties() map[string]schema {
	all := make(map[string]schema)
	properties, _ := s["properties"].(map[string]any)
	for key, p := range properties {
		all[key] = p.(map[string]any)
	}
	return all
}

func (s schema) required() []string {
	var all []string
	required, _ := s["required"].([]any)
	for _, key := range required {
		all = append(all, key.(string))
	}
	return all
}

func matchesText(text, keyword string, arg any) bool {
	if keyword == "minLength" {
		return float64(utf8.RuneCountInString(text)) >= arg.(float64)
	}
	return regexp.MustCompile(arg.(string)).MatchString(text)
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case uint64:
		return float64(v), true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func isType(v any, name string) bool {
	switch name {
	case "object":
		_, ok := v.(map[string]any)
		return ok
	case "array":
		_, ok := v.([]any)
		return ok
	case "string":
		_, ok := v.(string)
		return ok
	case "boolean":
		_, ok := v.(bool)
		return ok
	case "integer":
		n, ok := number(v)
		return ok && n == float64(int64(n))
	}
	panic("the type " + name + " is not known to this test")
}
