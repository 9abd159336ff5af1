// Command generate writes table.txt, the catalogue of ZITADEL's RPCs, from the
// descriptors in zitadel-go and the hazard classes in hazards.txt.
//
// It runs in the directory of package operation; with -check it compares
// instead of writing, and fails when the committed table is out of date.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"

	_ "github.com/zproxy/zproxy/internal/descriptors" // what is walked
)

const (
	tableFile  = "table.txt"
	hazardFile = "hazards.txt"
)

func main() {
	check := flag.Bool("check", false, "compare with the committed table instead of writing it")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(check bool) error {
	text, err := os.ReadFile(hazardFile)
	if err != nil {
		return fmt.Errorf("reading the hazard classes: %w", err)
	}
	hazards, err := parseHazards(string(text))
	if err != nil {
		return err
	}
	table, err := render(services(), hazards)
	if err != nil {
		return err
	}
	if !check {
		return os.WriteFile(tableFile, table, 0o644)
	}
	committed, err := os.ReadFile(tableFile)
	if err != nil {
		return fmt.Errorf("reading the committed table: %w", err)
	}
	if !bytes.Equal(committed, table) {
		return errors.New("comparing: table.txt is out of date; run go generate ./policy/operation and commit it")
	}
	return nil
}
