// Package schema checks the files of deploy/ against Kubernetes's own types, and
// compose.yaml against Compose's schema. It is a module of its own, as these
// libraries are many and large, and the daemon has no use for them.
package schema

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const root = "../../.."

// kinds are the types of what has one in Kubernetes's own API.
var kinds = map[string]func() any{
	"v1 Namespace":                           func() any { return new(core.Namespace) },
	"v1 ConfigMap":                           func() any { return new(core.ConfigMap) },
	"v1 Secret":                              func() any { return new(core.Secret) },
	"v1 Service":                             func() any { return new(core.Service) },
	"apps/v1 Deployment":                     func() any { return new(apps.Deployment) },
	"policy/v1 PodDisruptionBudget":          func() any { return new(policy.PodDisruptionBudget) },
	"autoscaling/v2 HorizontalPodAutoscaler": func() any { return new(autoscaling.HorizontalPodAutoscaler) },
	"networking.k8s.io/v1 Ingress":           func() any { return new(networking.Ingress) },
}

// others are those of other makers, and no object at all.
var others = map[string]bool{
	"kustomize.config.k8s.io/v1beta1 Kustomization": true,
	"monitoring.coreos.com/v1 PodMonitor":           true,
	" ":                                             true, // prometheus-adapter.values.yaml
}

// TestKubernetesManifests: each field is one that its kind has, and of its type.
func TestKubernetesManifests(t *testing.T) {
	files, err := filepath.Glob(root + "/deploy/kubernetes/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
			if err := decode(document, seen); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	for kind := range kinds {
		if !seen[kind] {
			t.Errorf("deploy/kubernetes has no %s", kind)
		}
	}
}

func decode(document []byte, seen map[string]bool) error {
	var head struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(document, &head); err != nil {
		return err
	}
	kind := head.APIVersion + " " + head.Kind
	seen[kind] = true
	if others[kind] {
		return yaml.UnmarshalStrict(document, &map[string]any{}) // no key twice
	}
	object, ok := kinds[kind]
	if !ok {
		return errors.New("of an unknown kind: " + kind)
	}
	return yaml.UnmarshalStrict(document, object())
}

// TestComposeFiles: each is by Compose's schema, and whole.
func TestComposeFiles(t *testing.T) {
	for _, name := range []string{"compose.yaml", "compose.cluster.yaml"} {
		options, err := cli.NewProjectOptions([]string{filepath.Join(root, name)}, cli.WithEnv([]string{
			"REVERB_APP_ID=app-id", "REVERB_APP_KEY=app-key", "REVERB_APP_SECRET=app-secret",
		}))
		if err != nil {
			t.Fatal(err)
		}
		project, err := options.LoadProject(t.Context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, service := range project.Services {
			for _, mount := range service.Volumes {
				if mount.Type != "bind" {
					continue
				}
				if _, err := os.Stat(mount.Source); err != nil {
					t.Errorf("%s: service %s: %v", name, service.Name, err)
				}
			}
		}
	}
}
