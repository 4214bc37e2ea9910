// Package deploy_test checks the Kubernetes manifests without a cluster: that they say nothing but what the structs below
// know, that they keep the restricted Pod Security Standard, and that they agree with each other and with cdcd.toml.
package deploy_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/cdcd-project/cdcd/internal/config"
)

const folder = "k8s"

// read decodes a manifest strictly: a misspelt field is an error.
func read[T any](t *testing.T, name string) T {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	var manifest T
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&manifest); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if decoder.Decode(&yaml.Node{}) == nil {
		t.Fatalf("%s holds several documents", name)
	}
	return manifest
}

func readDeployment(t *testing.T) (pod podSpec, d deployment) {
	t.Helper()
	d = read[deployment](t, "deployment.yaml")
	if len(d.Spec.Template.Spec.Containers) != 1 {
		t.Fatalf("%d containers, want 1", len(d.Spec.Template.Spec.Containers))
	}
	return d.Spec.Template.Spec, d
}

func TestEveryManifestIsListedAndOfItsKind(t *testing.T) {
	kinds := map[string]meta{
		"namespace.yaml":             read[plain](t, "namespace.yaml").meta,
		"serviceaccount.yaml":        read[serviceAccount](t, "serviceaccount.yaml").meta,
		"persistentvolumeclaim.yaml": read[claim](t, "persistentvolumeclaim.yaml").meta,
		"deployment.yaml":            read[deployment](t, "deployment.yaml").meta,
		"poddisruptionbudget.yaml":   read[budget](t, "poddisruptionbudget.yaml").meta,
		"networkpolicy.yaml":         read[networkPolicy](t, "networkpolicy.yaml").meta,
	}
	k := read[kustomization](t, "kustomization.yaml")
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(k.Resources)+1 {
		t.Errorf("%d files and %d resources beside kustomization.yaml", len(files), len(k.Resources))
	}
	for _, name := range k.Resources {
		m, ok := kinds[name]
		if !ok || strings.ToLower(m.Kind)+".yaml" != name || m.APIVersion == "" || m.Metadata.Name != "cdcd" {
			t.Errorf("%s is %+v", name, m)
		}
	}
}

func TestPodKeepsTheRestrictedPodSecurityStandard(t *testing.T) {
	pod, _ := readDeployment(t)
	p, c := pod.SecurityContext, pod.Containers[0].SecurityContext
	for rule, kept := range map[string]bool{
		"runs as non-root":                 p.RunAsNonRoot && p.RunAsUser > 0 && p.RunAsGroup > 0,
		"seccomp is RuntimeDefault":        p.SeccompProfile.Type == "RuntimeDefault",
		"no privilege escalation":          c.AllowPrivilegeEscalation != nil && !*c.AllowPrivilegeEscalation,
		"all capabilities dropped":         slices.Equal(c.Capabilities.Drop, []string{"ALL"}),
		"read-only root file system":       c.ReadOnlyRootFilesystem,
		"no token":                         pod.AutomountServiceAccountToken != nil && !*pod.AutomountServiceAccountToken,
		"fsGroup is the user's":            p.FSGroup == p.RunAsGroup,
		"the namespace enforces all this":  read[plain](t, "namespace.yaml").Metadata.Labels["pod-security.kubernetes.io/enforce"] == "restricted",
		"the account is mounted by nobody": !*read[serviceAccount](t, "serviceaccount.yaml").AutomountServiceAccountToken,
	} {
		if !kept {
			t.Errorf("broken: %s", rule)
		}
	}
}

func TestPodRunsTheConfigurationThatIsShipped(t *testing.T) {
	c, err := config.Load(filepath.Join(folder, "cdcd.toml"))
	if err != nil {
		t.Fatal(err)
	}
	pod, d := readDeployment(t)
	container := pod.Containers[0]
	if got := time.Duration(pod.TerminationGracePeriodSeconds) * time.Second; got <= c.GracePeriod.Duration {
		t.Errorf("terminationGracePeriodSeconds is %s and grace_period %s: the kernel would be faster", got, c.GracePeriod)
	}
	_, port, err := net.SplitHostPort(c.Admin.Listen)
	if err != nil {
		t.Fatal(err)
	}
	policy := read[networkPolicy](t, "networkpolicy.yaml").Spec
	for place, got := range map[string]string{
		"containerPort":      strconv.Itoa(container.Ports[0].ContainerPort),
		"prometheus.io/port": d.Spec.Template.Metadata.Annotations["prometheus.io/port"],
		"network policy":     strconv.Itoa(policy.Ingress[0].Ports[0].Port),
	} {
		if got != port {
			t.Errorf("%s is %s, and admin.listen is %s", place, got, c.Admin.Listen)
		}
	}
	var open []string
	for _, rule := range policy.Egress {
		for _, p := range rule.Ports {
			open = append(open, strconv.Itoa(p.Port))
		}
	}
	for _, broker := range c.Kafka.Brokers {
		if _, port, _ := net.SplitHostPort(broker); !slices.Contains(open, port) {
			t.Errorf("the network policy does not let the pod reach broker %s", broker)
		}
	}
	for path, probe := range map[string]probe{"/healthz": container.LivenessProbe, "/readyz": container.ReadinessProbe} {
		if probe.HTTPGet.Path != path || probe.HTTPGet.Port != container.Ports[0].Name {
			t.Errorf("probe %+v, want %s on port %s", probe, path, container.Ports[0].Name)
		}
	}
	mounts := map[string]string{}
	for _, m := range container.VolumeMounts {
		mounts[m.Name] = m.MountPath
	}
	if want := []string{"run", "-config", mounts["config"] + "/cdcd.toml"}; !slices.Equal(container.Args, want) {
		t.Errorf("args %v, want %v", container.Args, want)
	}
	for _, path := range []string{c.Catalog.Database(), strings.TrimPrefix(c.Catalog.Warehouse, "file://")} {
		if !strings.HasPrefix(path, mounts["tables"]+"/") {
			t.Errorf("%s is not on the volume at %s", path, mounts["tables"])
		}
	}
}

func TestMemoryLimitLeavesRoomForTheBudgets(t *testing.T) {
	c, err := config.Load(filepath.Join(folder, "cdcd.toml"))
	if err != nil {
		t.Fatal(err)
	}
	pod, _ := readDeployment(t)
	container := pod.Containers[0]
	limit := quantity(t, container.Resources.Limits.Memory)
	if request := quantity(t, container.Resources.Requests.Memory); request != limit {
		t.Errorf("memory request is %s and limit %s, want the same", request, limit)
	}
	if len(container.Env) != 1 || container.Env[0].Name != "GOMEMLIMIT" {
		t.Fatalf("env is %v, want GOMEMLIMIT", container.Env)
	}
	soft := quantity(t, strings.TrimSuffix(container.Env[0].Value, "B"))
	if soft < limit*80/100 || soft > limit*92/100 {
		t.Errorf("GOMEMLIMIT is %s of a limit of %s, want 80 to 92 %%", soft, limit)
	}
	if budgets := c.Memory.Batches + c.Memory.Index; budgets > soft*2/3 {
		t.Errorf("the budgets add up to %s, which leaves too little of a GOMEMLIMIT of %s", budgets, soft)
	}
}

// quantity reads a Kubernetes quantity with a binary unit: "3Gi".
func quantity(t *testing.T, text string) config.Size {
	t.Helper()
	var s config.Size
	if err := s.UnmarshalText([]byte(text + "B")); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestManifestsReferToEachOther(t *testing.T) {
	pod, d := readDeployment(t)
	k := read[kustomization](t, "kustomization.yaml")
	labels := d.Spec.Template.Metadata.Labels
	for name, selector := range map[string]selector{
		"deployment":            d.Spec.Selector,
		"pod disruption budget": read[budget](t, "poddisruptionbudget.yaml").Spec.Selector,
		"network policy":        read[networkPolicy](t, "networkpolicy.yaml").Spec.PodSelector,
	} {
		for key, value := range selector.MatchLabels {
			if labels[key] != value {
				t.Errorf("the %s selects %s=%s, and the pod has %v", name, key, value, labels)
			}
		}
		if len(selector.MatchLabels) == 0 {
			t.Errorf("the %s selects everything", name)
		}
	}
	if got, want := pod.ServiceAccountName, read[serviceAccount](t, "serviceaccount.yaml").Metadata.Name; got != want {
		t.Errorf("service account %s, want %s", got, want)
	}
	volumes := map[string]volume{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = v
	}
	for _, m := range pod.Containers[0].VolumeMounts {
		if _, ok := volumes[m.Name]; !ok {
			t.Errorf("no volume %s", m.Name)
		}
	}
	if got, want := volumes["tables"].PersistentVolumeClaim.ClaimName, read[claim](t, "persistentvolumeclaim.yaml").Metadata.Name; got != want {
		t.Errorf("claim %s, want %s", got, want)
	}
	if got := k.ConfigMapGenerator; len(got) != 1 || got[0].Name != volumes["config"].ConfigMap.Name || !slices.Equal(got[0].Files, []string{"cdcd.toml"}) {
		t.Errorf("generated %v, and the pod mounts %s", got, volumes["config"].ConfigMap.Name)
	}
	if k.Images[0].Name != pod.Containers[0].Image || k.Namespace != read[plain](t, "namespace.yaml").Metadata.Name {
		t.Errorf("kustomization has image %s and namespace %s", k.Images[0].Name, k.Namespace)
	}
	if d.Spec.Replicas != 1 || d.Spec.Strategy.Type != "Recreate" {
		t.Errorf("%d replicas, strategy %s: one volume carries one pod", d.Spec.Replicas, d.Spec.Strategy.Type)
	}
}
