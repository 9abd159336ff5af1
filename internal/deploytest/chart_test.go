package deploytest_test

import (
	"path/filepath"
	"strings"
	"testing"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	apps "k8s.io/api/apps/v1"
)

const everything = `
image: {digest: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
imagePullSecrets: [{name: registry}]
certificates: {from: certManager}
serviceMonitor: {enabled: true, labels: {release: prometheus}}
autoscaling: {enabled: false}
replicas: 3
podLabels: {team: identity}
podAnnotations: {team: identity}
nodeSelector: {kubernetes.io/arch: arm64}
tolerations: [{key: dedicated, operator: Exists}]
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchFields: [{key: metadata.name, operator: Exists}]}]}}}
`

const overSPIFFE = `
certificates: {from: spiffe}
config:
  listeners:
    - name: mesh
      address: 0.0.0.0:8443
      tls: {spiffe: {workload_api: "unix:///spiffe-workload-api/spire-agent.sock"}}
      callers: {client_certificate: {}}
`

func TestChartMakesWhatIsAskedFor(t *testing.T) {
	o := chart(t, everything)
	d := get[*apps.Deployment](t, o, "Deployment/zproxy")
	if *d.Spec.Replicas != 3 || o["HorizontalPodAutoscaler/zproxy"] != nil {
		t.Error("without autoscaling, it must be the replicas that were given")
	}
	if image := d.Spec.Template.Spec.Containers[0].Image; !strings.HasPrefix(image, "ghcr.io/zproxy/zproxy@sha256:") {
		t.Errorf("the image is %s", image)
	}
	if c := get[*certmanager.Certificate](t, o, "Certificate/zproxy"); c.Spec.SecretName != "zproxy-tls" || len(c.Spec.DNSNames) != 2 {
		t.Errorf("the certificate is %+v", c.Spec)
	}
	if o["ServiceMonitor/zproxy"] == nil {
		t.Error("there is no service monitor")
	}
	if before, after := chart(t, "{}"), chart(t, "config: {hints: true}"); get[*apps.Deployment](t, before, "Deployment/zproxy").Spec.Template.Annotations["zproxy.dev/config"] ==
		get[*apps.Deployment](t, after, "Deployment/zproxy").Spec.Template.Annotations["zproxy.dev/config"] {
		t.Error("another configuration does not roll the pods")
	}
}

func TestChartRefusesWhatItDoesNotKnow(t *testing.T) {
	c, err := loader.Load(filepath.Join(root, "deploy/helm/zproxy"))
	check(t, err)
	for _, values := range []string{"imagee: {}", "certificates: {from: nowhere}", "image: {digest: latest}", "service: {ports: []}", "keys: {secretName: ''}"} {
		given, err := chartutil.ReadValues([]byte(values))
		check(t, err)
		if _, err := chartutil.ToRenderValues(c, given, chartutil.ReleaseOptions{Name: "zproxy"}, chartutil.DefaultCapabilities); err == nil {
			t.Errorf("%s was taken", values)
		}
	}
}
