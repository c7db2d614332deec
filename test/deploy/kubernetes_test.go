package deploy

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"broadcastd/test/redistest"
)

// manifest is what the tests read of Kubernetes's objects; that they are of the right
// form is for test/deploy/schema.
type manifest struct {
	Kind     string
	Metadata struct {
		Name   string
		Labels map[string]string
	}
	Data       map[string]string
	StringData map[string]string `yaml:"stringData"`
	Resources  []string          // of the kustomization
	Rules      yaml.Node         // of the adapter's values, of an Ingress
	Spec       struct {
		Selector yaml.Node
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     podSpec
		}
		Ports []struct {
			TargetPort string `yaml:"targetPort"`
		}
		PodMetricsEndpoints []struct {
			Port, Path    string
			Authorization struct{ Credentials struct{ Name, Key string } }
		} `yaml:"podMetricsEndpoints"`
		JobLabel       string                      `yaml:"jobLabel"`
		ScaleTargetRef struct{ Kind, Name string } `yaml:"scaleTargetRef"`
		Metrics        []struct {
			Pods struct{ Metric struct{ Name string } }
		}
	}
}

type podSpec struct {
	EnableServiceLinks            *bool `yaml:"enableServiceLinks"`
	TerminationGracePeriodSeconds int   `yaml:"terminationGracePeriodSeconds"`
	Containers                    []container
	Volumes                       []struct {
		ConfigMap struct{ Name string } `yaml:"configMap"`
	}
}

type container struct {
	Args  []string
	Ports []struct {
		Name          string
		ContainerPort string `yaml:"containerPort"`
	}
	EnvFrom []struct {
		SecretRef struct{ Name string } `yaml:"secretRef"`
	} `yaml:"envFrom"`
	Env            []struct{ Name string }
	ReadinessProbe probe `yaml:"readinessProbe"`
	LivenessProbe  probe `yaml:"livenessProbe"`
	VolumeMounts   []struct {
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

type probe struct {
	HTTPGet          struct{ Path, Port string } `yaml:"httpGet"`
	PeriodSeconds    int                         `yaml:"periodSeconds"`
	FailureThreshold int                         `yaml:"failureThreshold"`
}

func parse[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func kubernetes(t *testing.T, file string) manifest {
	t.Helper()
	return parse[manifest](t, read(t, "deploy/kubernetes", file))
}

// TestKubernetesConfiguration starts the daemon as the Deployment does, but for ports
// and Redis, and asks what the kubelet asks.
func TestKubernetesConfiguration(t *testing.T) {
	deployment, config, secret := kubernetes(t, "deployment.yaml"), kubernetes(t, "configmap.yaml"), kubernetes(t, "secret.example.yaml")
	pod := deployment.Spec.Template.Spec
	c := pod.Containers[0]
	if pod.Volumes[0].ConfigMap.Name != config.Metadata.Name || c.EnvFrom[0].SecretRef.Name != secret.Metadata.Name {
		t.Error("the Deployment mounts another ConfigMap, or reads another Secret")
	}
	dir := t.TempDir()
	for name, text := range config.Data {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"BROADCASTD_SCALING_NODE=broadcastd-0", "GOMEMLIMIT=964689920"} // the downward API's
	for _, v := range c.Env {
		if !slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, v.Name+"=") }) {
			t.Errorf("the Deployment sets %s, of which this test doesn't know", v.Name)
		}
	}
	for name, value := range secret.StringData {
		env = append(env, name+"="+value)
	}
	args := make([]string, len(c.Args))
	for i, arg := range c.Args {
		args[i] = strings.Replace(arg, c.VolumeMounts[0].MountPath, dir, 1)
	}

	// What a Service called broadcastd injects, unless enableServiceLinks is false.
	check := slices.Concat([]string{"check"}, args[1:])
	linked := broadcastd(t, append(env, "BROADCASTD_PORT=tcp://10.0.0.1:8080"), check...)
	if out, err := linked.CombinedOutput(); err == nil {
		t.Errorf("with Docker-style links it starts, so that enableServiceLinks: false isn't needed:\n%s", out)
	}
	if links := pod.EnableServiceLinks; links == nil || *links {
		t.Error("the Deployment must say enableServiceLinks: false")
	}

	out, err := broadcastd(t, env, check...).CombinedOutput()
	if err != nil {
		t.Fatalf("broadcastd check: %v\n%s", err, out)
	}
	effective := settings(string(out))
	ports := map[string]string{}
	for _, p := range c.Ports {
		ports[p.Name] = p.ContainerPort
	}
	if want := map[string]string{"http": effective["port"], "admin": strings.TrimPrefix(effective["admin.listen"], "0.0.0.0:")}; !maps.Equal(ports, want) {
		t.Errorf("the container has the ports %v, the configuration %v", ports, want)
	}
	timeout, delay := duration(t, effective["shutdown_timeout"]), duration(t, effective["shutdown_delay"])
	if grace := time.Duration(pod.TerminationGracePeriodSeconds) * time.Second; grace <= timeout {
		t.Errorf("terminationGracePeriodSeconds is %v, shutdown_timeout %v", grace, timeout)
	}
	if notice := time.Duration(c.ReadinessProbe.PeriodSeconds*c.ReadinessProbe.FailureThreshold) * time.Second; notice >= delay {
		t.Errorf("the readiness probe takes %v to fail, shutdown_delay is %v", notice, delay)
	}

	redis := redistest.Start(t)
	public, admin := startDaemon(t, append(env, "BROADCASTD_REDIS_URL="+redis.URL(), "BROADCASTD_PORT=0", "BROADCASTD_ADMIN_LISTEN=127.0.0.1:0"), args...)
	address := map[string]string{"http": public, "admin": admin}
	for _, p := range []probe{c.ReadinessProbe, c.LivenessProbe} {
		url := fmt.Sprintf("http://%s%s", address[p.HTTPGet.Port], p.HTTPGet.Path)
		eventually(t, func() error {
			res, err := http.Get(url)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			if res.StatusCode != http.StatusOK {
				return fmt.Errorf("GET %s: %s", url, res.Status)
			}
			return nil
		})
	}
	monitor := kubernetes(t, "podmonitor.yaml").Spec.PodMetricsEndpoints[0]
	token := monitor.Authorization.Credentials
	if token.Name != secret.Metadata.Name {
		t.Errorf("the PodMonitor's token is in the Secret %s", token.Name)
	}
	getWith(t, "http://"+address[monitor.Port]+monitor.Path, secret.StringData[token.Key])
}

// TestKubernetesNamesAgree: objects find each other by names and labels, and none
// says when they don't.
func TestKubernetesNamesAgree(t *testing.T) {
	deployment := kubernetes(t, "deployment.yaml")
	labels := deployment.Spec.Template.Metadata.Labels
	for _, file := range []string{"deployment.yaml", "service.yaml", "poddisruptionbudget.yaml", "podmonitor.yaml"} {
		m := kubernetes(t, file)
		var selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		if m.Kind == "Service" {
			_ = m.Spec.Selector.Decode(&selector.MatchLabels)
		} else {
			_ = m.Spec.Selector.Decode(&selector)
		}
		if !maps.Equal(selector.MatchLabels, labels) {
			t.Errorf("%s selects %v, pods are labelled %v", file, selector.MatchLabels, labels)
		}
	}
	for _, p := range kubernetes(t, "service.yaml").Spec.Ports {
		if p.TargetPort != "http" {
			t.Errorf("the Service leads to the port %q", p.TargetPort)
		}
	}
	hpa := kubernetes(t, "hpa.yaml").Spec
	if hpa.ScaleTargetRef.Kind != deployment.Kind || hpa.ScaleTargetRef.Name != deployment.Metadata.Name {
		t.Errorf("hpa.yaml scales %+v", hpa.ScaleTargetRef)
	}
	if series := adapterRules(t)[0].SeriesQuery; !strings.HasPrefix(series, hpa.Metrics[0].Pods.Metric.Name+"{") {
		t.Errorf("hpa.yaml asks for %s, the adapter has %s", hpa.Metrics[0].Pods.Metric.Name, series)
	}
	if label := kubernetes(t, "podmonitor.yaml").Spec.JobLabel; labels[label] != "broadcastd" {
		t.Errorf("podmonitor.yaml: the job of the label %s is %q, and of the alerts broadcastd", label, labels[label])
	}
	for _, file := range kubernetes(t, "kustomization.yaml").Resources {
		_ = kubernetes(t, file) // it is there
	}
}

type adapterRule struct {
	SeriesQuery  string `yaml:"seriesQuery"`
	MetricsQuery string `yaml:"metricsQuery"`
}

func adapterRules(t *testing.T) (rules []adapterRule) {
	t.Helper()
	node := kubernetes(t, "prometheus-adapter.values.yaml").Rules
	var values struct{ Custom []adapterRule }
	if err := node.Decode(&values); err != nil || len(values.Custom) == 0 {
		t.Fatalf("prometheus-adapter.values.yaml has %d rules, %v", len(values.Custom), err)
	}
	return values.Custom
}

func adapterQueries(t *testing.T) (all []query) {
	t.Helper()
	for _, r := range adapterRules(t) {
		all = append(all, query{from: "prometheus-adapter.values.yaml", expr: r.SeriesQuery})
	}
	return all
}

// settings are what broadcastd check prints.
func settings(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) >= 2 {
			all[f[0]] = f[1]
		}
	}
	return all
}

func duration(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
