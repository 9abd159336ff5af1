package deploytest_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// objects are what a kustomization or chart renders, by kind and name, each
// decoded strictly as its API has it.
type objects map[string]any

func newObject(kind string) any {
	switch kind {
	case "apps/v1 Deployment":
		return new(apps.Deployment)
	case "autoscaling/v2 HorizontalPodAutoscaler":
		return new(autoscaling.HorizontalPodAutoscaler)
	case "cert-manager.io/v1 Certificate":
		return new(certmanager.Certificate)
	case "monitoring.coreos.com/v1 ServiceMonitor":
		return new(monitoring.ServiceMonitor)
	case "networking.k8s.io/v1 NetworkPolicy":
		return new(networking.NetworkPolicy)
	case "policy/v1 PodDisruptionBudget":
		return new(policy.PodDisruptionBudget)
	case "v1 ConfigMap":
		return new(core.ConfigMap)
	case "v1 Service":
		return new(core.Service)
	case "v1 ServiceAccount":
		return new(core.ServiceAccount)
	}
	return nil
}

func (o objects) decode(t *testing.T, text []byte) {
	t.Helper()
	for document := range bytes.SplitSeq(append([]byte("\n"), text...), []byte("\n---")) {
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		var head meta.PartialObjectMetadata
		check(t, yaml.Unmarshal(document, &head))
		object := newObject(head.APIVersion + " " + head.Kind)
		if object == nil {
			t.Fatalf("%s %s is of a kind that nobody expects:\n%s", head.APIVersion, head.Kind, document)
		}
		if err := yaml.UnmarshalStrict(document, object); err != nil {
			t.Fatalf("%s %s: %v\n%s", head.Kind, head.Name, err, document)
		}
		o[head.Kind+"/"+head.Name] = object
	}
}

func get[T any](t *testing.T, o objects, name string) T {
	t.Helper()
	object, ok := o[name].(T)
	if !ok {
		t.Fatalf("there is no %s in %q", name, slices.Sorted(maps.Keys(o)))
	}
	return object
}

func kustomize(t *testing.T, dir string) objects {
	t.Helper()
	rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(root, "deploy/kubernetes", dir))
	check(t, err)
	text, err := rendered.AsYaml()
	check(t, err)
	o := make(objects)
	o.decode(t, text)
	return o
}

func chart(t *testing.T, values string) objects {
	t.Helper()
	c, err := loader.Load(filepath.Join(root, "deploy/helm/zproxy"))
	check(t, err)
	check(t, c.Validate())
	given, err := chartutil.ReadValues([]byte(values))
	check(t, err)
	all, err := chartutil.ToRenderValues(c, given, chartutil.ReleaseOptions{Name: "zproxy", Namespace: "zproxy", IsInstall: true}, chartutil.DefaultCapabilities)
	check(t, err)
	files, err := engine.Engine{Strict: true}.Render(c, all)
	check(t, err)
	o := make(objects)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, ".yaml") {
			o.decode(t, []byte(files[name]))
		}
	}
	return o
}

func TestKustomizations(t *testing.T) {
	base := []string{"Deployment/zproxy", "HorizontalPodAutoscaler/zproxy", "NetworkPolicy/zproxy", "PodDisruptionBudget/zproxy", "Service/zproxy", "Service/zproxy-admin", "ServiceAccount/zproxy"}
	for dir, want := range map[string][]string{
		"base": base, "spiffe": base, "cert-manager": append([]string{"Certificate/zproxy"}, base...),
		"monitoring": {"ServiceMonitor/zproxy"}, "sidecar": {"Deployment/crm"},
	} {
		t.Run(dir, func(t *testing.T) {
			o := kustomize(t, dir)
			maps.DeleteFunc(o, func(name string, _ any) bool { return strings.HasPrefix(name, "ConfigMap/") })
			slices.Sort(want)
			if got := slices.Sorted(maps.Keys(o)); !slices.Equal(got, want) {
				t.Errorf("it renders %q, want %q", got, want)
			}
		})
	}
}

func TestDeployments(t *testing.T) {
	for name, render := range map[string]func(*testing.T) objects{
		"base":              func(t *testing.T) objects { return kustomize(t, "base") },
		"spiffe":            func(t *testing.T) objects { return kustomize(t, "spiffe") },
		"sidecar":           func(t *testing.T) objects { return kustomize(t, "sidecar") },
		"chart":             func(t *testing.T) objects { return chart(t, "{}") },
		"chart, everything": func(t *testing.T) objects { return chart(t, everything) },
		"chart, spiffe":     func(t *testing.T) objects { return chart(t, overSPIFFE) },
	} {
		t.Run(name, func(t *testing.T) {
			o := render(t)
			for _, object := range o {
				if d, ok := object.(*apps.Deployment); ok {
					checkPod(t, o, &d.Spec.Template)
					if !selects(d.Spec.Selector.MatchLabels, d.Spec.Template.Labels) {
						t.Errorf("the selector %q does not select %q", d.Spec.Selector.MatchLabels, d.Spec.Template.Labels)
					}
				}
				if s, ok := object.(*core.Service); ok && !selects(s.Spec.Selector, get[*apps.Deployment](t, o, "Deployment/zproxy").Spec.Template.Labels) {
					t.Errorf("service %s selects no pod", s.Name)
				}
			}
		})
	}
}

func selects(selector, labels map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return len(selector) > 0
}

// checkPod compares the container zproxy with its configuration.
func checkPod(t *testing.T, o objects, pod *core.PodTemplateSpec) {
	t.Helper()
	containers := slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers)
	i := slices.IndexFunc(containers, func(c core.Container) bool { return c.Name == "zproxy" })
	if i < 0 {
		t.Fatal("no container is called zproxy")
	}
	c := containers[i]
	s := c.SecurityContext
	if !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) || !*pod.Spec.SecurityContext.RunAsNonRoot || *pod.Spec.AutomountServiceAccountToken {
		t.Error("the container may do more than it needs")
	}
	text := mounted(t, o, pod, &c)
	loads(t, text)
	cfg := parseConfiguration(t, text)
	for _, file := range append(cfg.files(), socketsOf(cfg)...) {
		if !slices.ContainsFunc(c.VolumeMounts, func(m core.VolumeMount) bool { return strings.HasPrefix(file, m.MountPath+"/") }) {
			t.Errorf("nothing is mounted that has %s", file)
		}
	}
	for _, m := range c.VolumeMounts {
		if !slices.ContainsFunc(pod.Spec.Volumes, func(v core.Volume) bool { return v.Name == m.Name }) {
			t.Errorf("there is no volume %s", m.Name)
		}
	}
	ports := make(map[string]string)
	for _, p := range c.Ports {
		ports[p.Name] = fmt.Sprint(p.ContainerPort)
	}
	for _, l := range cfg.Listeners {
		if port := l.Address[strings.LastIndexByte(l.Address, ':')+1:]; !strings.HasPrefix(l.Address, "unix:") && ports[l.Name] != port {
			t.Errorf("listener %s is at port %s, the container's port %q", l.Name, port, ports[l.Name])
		}
	}
	if !strings.HasSuffix(cfg.Admin.Address, ":"+ports["admin"]) {
		t.Errorf("the admin listener is at %s, its port is %s", cfg.Admin.Address, ports["admin"])
	}
	checkProbes(t, pod, &c, cfg)
}

// parseDuration is what text says, or the default of a key that is not there.
func parseDuration(t *testing.T, text string, otherwise time.Duration) time.Duration {
	t.Helper()
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	check(t, err)
	return d
}

func checkProbes(t *testing.T, pod *core.PodTemplateSpec, c *core.Container, cfg configuration) {
	t.Helper()
	for path, p := range map[string]*core.Probe{"/readyz": c.StartupProbe, "/livez": c.LivenessProbe} {
		if p == nil || p.HTTPGet.Path != path || p.HTTPGet.Port.String() != "admin" {
			t.Errorf("no probe asks %s", path)
		}
	}
	delay := parseDuration(t, cfg.Limits.DrainDelay, 0)
	if c.ReadinessProbe != nil && delay < 5*time.Second {
		t.Errorf("connections that nodes still send are refused: drain_delay is %v", delay)
	}
	drain := parseDuration(t, cfg.Limits.Drain, 30*time.Second) + delay
	if grace := time.Duration(*pod.Spec.TerminationGracePeriodSeconds) * time.Second; grace <= drain {
		t.Errorf("the pod is ended after %v, and drains for %v", grace, drain)
	}
}

// mounted is the configuration that the container is given.
func mounted(t *testing.T, o objects, pod *core.PodTemplateSpec, c *core.Container) []byte {
	t.Helper()
	if !slices.Contains(c.Args, "--config=/etc/zproxy/zproxy.yaml") {
		t.Fatalf("it runs %q", c.Args)
	}
	for _, v := range pod.Spec.Volumes {
		if v.Name == "config" {
			return []byte(get[*core.ConfigMap](t, o, "ConfigMap/"+v.ConfigMap.Name).Data["zproxy.yaml"])
		}
	}
	t.Fatal("there is no volume config")
	return nil
}

// loads has zproxy read a configuration: a fault in it is exit code 2, and that
// its rules allow nothing to a stranger is 1.
func loads(t *testing.T, text []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "zproxy.yaml")
	check(t, os.WriteFile(file, text, 0o600))
	if code, said := exitCode(t, zproxy, "explain", "--config", file, "--caller", "unix:nobody", "UserService/ListUsers"); code != 1 {
		t.Errorf("exit code %d\n%s", code, said)
	}
}

func socketsOf(c configuration) []string {
	var sockets []string
	for _, l := range c.Listeners {
		if path, ok := strings.CutPrefix(l.Address, "unix:"); ok {
			sockets = append(sockets, path)
		}
	}
	return sockets
}
