package deploytest_test

import (
	"path/filepath"
	"testing"

	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Terraform and its provider are not here: that the example is HCL, and what the provider is told.
func TestExampleForTerraform(t *testing.T) {
	file, faults := hclparse.NewParser().ParseHCLFile(filepath.Join(root, "docs/examples/terraform/main.tf"))
	if faults.HasErrors() {
		t.Fatal(faults)
	}
	for _, block := range file.Body.(*hclsyntax.Body).Blocks {
		if block.Type != "provider" {
			continue
		}
		for name, want := range map[string]string{"domain": "127.0.0.1", "port": "8080", "access_token": "zproxy-has-it"} {
			value, faults := block.Body.Attributes[name].Expr.Value(nil)
			if faults.HasErrors() || value.AsString() != want {
				t.Errorf("%s is %v, want %s", name, value, want)
			}
		}
		return
	}
	t.Error("no provider is configured")
}
