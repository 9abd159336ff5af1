# ZITADEL's Terraform provider, pointed at zproxy. It insists on a credential;
# zproxy takes whatever it sends away, and attaches the service user's token.
terraform {
  required_providers {
    zitadel = {
      source = "zitadel/zitadel"
    }
  }
}

provider "zitadel" {
  domain       = "127.0.0.1"      # zproxy's listener, not the instance
  port         = "8080"
  insecure     = true             # a plain listener of this machine
  access_token = "zproxy-has-it"
}

# zproxy.yaml has the rule for it.
resource "zitadel_project" "crm" {
  name   = "crm"
  org_id = "287345091734012345"
}
