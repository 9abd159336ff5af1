// Command convert writes roles.txt from the measurements in JSON: an object
// with role_levels (role to level), roles (role to its permissions) and
// operations (RPC to what it checks).
//
//	go run ./policy/role/internal/convert measurements.json > policy/role/roles.txt
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// measurements is the input; fields that the table leaves out are not named.
type measurements struct {
	RoleLevels map[string]string   `json:"role_levels"`
	Roles      map[string][]string `json:"roles"`
	Operations map[string]need     `json:"operations"`
}

type need struct {
	Permission    string   `json:"permission"`
	Also          []string `json:"also"`
	Or            []string `json:"or"`
	Need          string   `json:"need"`
	Levels        []string `json:"levels"`
	Self          bool     `json:"self"`
	Basis         string   `json:"basis"`
	NoRole        string   `json:"no_role"`
	RolesYes      yes      `json:"roles_yes"`
	OrgContext    bool     `json:"org_context"`
	BoundToTarget *bool    `json:"bound_to_target"`
	CheckField    string   `json:"check_field"`
	Note          string   `json:"note"`
	Variants      []struct {
		When string `json:"when"`
		need
	} `json:"variants"`
}

// yes is a list of roles; nil for none given and for "any", which the need
// tells already. An empty list is a measurement, too: nobody passed.
type yes []string

func (y *yes) UnmarshalJSON(text []byte) error {
	if string(text) == `"any"` {
		return nil
	}
	return json.Unmarshal(text, (*[]string)(y))
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "convert:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("reading measurements: name their one file")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return fmt.Errorf("reading measurements: %w", err)
	}
	var m measurements
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("reading measurements: %w", err)
	}
	var table bytes.Buffer
	if err := write(&table, &m); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	_, err = table.WriteTo(out)
	return err
}
