package server_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"

	"broadcastd/internal/config"
)

// openAPI is docs/openapi.yaml, or a part of it.
type openAPI = map[string]any

var readOpenAPI = sync.OnceValues(func() (doc openAPI, err error) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "openapi.yaml"))
	if err == nil {
		err = yaml.Unmarshal(text, &doc)
	}
	return doc, err
})

func document(t testing.TB) openAPI {
	t.Helper()
	doc, err := readOpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestOpenAPIHasTheRoutes demands that document and server have the same.
func TestOpenAPIHasTheRoutes(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) {
		c.Auth.Endpoint, c.Auth.UserEndpoint = "http://localhost/broadcasting/auth", "http://localhost/broadcasting/user-auth"
	})
	served := slices.DeleteFunc(d.Routes(), func(route string) bool {
		return strings.Contains(route, "...") // OpenAPI has no path values with slashes
	})
	var described []string
	for path, item := range document(t)["paths"].(openAPI) {
		for method := range item.(openAPI) {
			if method != "parameters" && method != "servers" {
				described = append(described, strings.ToUpper(method)+" "+path)
			}
		}
	}
	for _, list := range []*[]string{&served, &described} {
		slices.Sort(*list)
		*list = slices.Compact(*list) // health is on both listeners
	}
	if !slices.Equal(served, described) {
		t.Errorf("served\n%s\ndescribed\n%s", strings.Join(served, "\n"), strings.Join(described, "\n"))
	}
}

// TestOpenAPIHoldsTogether demands that references lead somewhere, that path
// values are described, and that examples are what their schemas say.
func TestOpenAPIHoldsTogether(t *testing.T) {
	t.Parallel()
	doc := document(t)
	var walk func(where string, part any)
	walk = func(where string, part any) {
		switch part := part.(type) {
		case openAPI:
			if ref, ok := part["$ref"].(string); ok && resolve(doc, part) == nil {
				t.Errorf("%s: %s leads nowhere", where, ref)
			}
			if schema, ok := part["schema"].(openAPI); ok {
				examples := []any{}
				if example, ok := part["example"]; ok {
					examples = append(examples, example)
				}
				named, _ := part["examples"].(openAPI)
				for _, example := range named {
					examples = append(examples, example.(openAPI)["value"])
				}
				for _, example := range examples {
					for _, wrong := range mismatch(doc, schema, example) {
						t.Errorf("%s: the example %v: %s", where, example, wrong)
					}
				}
			}
			for key, value := range part {
				walk(where+"/"+key, value)
			}
		case []any:
			for i, value := range part {
				walk(where+"/"+strconv.Itoa(i), value)
			}
		}
	}
	walk("#", doc)

	for path, item := range doc["paths"].(openAPI) {
		var described []string
		parameters, _ := item.(openAPI)["parameters"].([]any)
		for _, p := range parameters {
			described = append(described, resolve(doc, p.(openAPI))["name"].(string))
		}
		for _, value := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(path, -1) {
			if !slices.Contains(described, value[1]) {
				t.Errorf("%s: the value %s is not described", path, value[1])
			}
		}
	}
}

// wantDocumented demands that an answer is one that the document describes for
// the route.
func wantDocumented(t testing.TB, route string, got reply) {
	t.Helper()
	doc := document(t)
	method, path, _ := strings.Cut(route, " ")
	item, _ := doc["paths"].(openAPI)[path].(openAPI)
	operation, _ := item[strings.ToLower(method)].(openAPI)
	responses, _ := operation["responses"].(openAPI)
	response, ok := responses[strconv.Itoa(got.status)].(openAPI)
	if !ok {
		response, ok = responses["default"].(openAPI)
	}
	if !ok {
		t.Errorf("%s: status %d is not described", route, got.status)
		return
	}
	content, _ := resolve(doc, response)["content"].(openAPI)
	media, ok := content[got.header.Get("Content-Type")].(openAPI)
	if !ok {
		t.Errorf("%s: status %d with Content-Type %q is not described", route, got.status, got.header.Get("Content-Type"))
		return
	}
	var value any
	if err := json.Unmarshal([]byte(got.body), &value); err != nil {
		t.Errorf("%s: %v: %q", route, err, got.body)
		return
	}
	for _, wrong := range mismatch(doc, media["schema"].(openAPI), value) {
		t.Errorf("%s: status %d: %s: %s", route, got.status, wrong, got.body)
	}
}

// resolve follows a part's $ref, if it is one; nil if it leads nowhere.
func resolve(doc, part openAPI) openAPI {
	for {
		ref, ok := part["$ref"].(string)
		if !ok {
			return part
		}
		part = doc
		for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			part, _ = part[strings.ReplaceAll(name, "~1", "/")].(openAPI)
		}
	}
}

// mismatch tells how a value differs from a schema, by what of JSON Schema the
// document uses for answers.
func mismatch(doc, schema openAPI, value any) (wrong []string) {
	schema = resolve(doc, schema)
	parts, _ := schema["allOf"].([]any)
	for _, part := range parts {
		wrong = append(wrong, mismatch(doc, part.(openAPI), value)...)
	}
	if want, ok := schema["const"]; ok && want != value {
		wrong = append(wrong, fmt.Sprintf("%v is not %v", value, want))
	}
	if want, ok := schema["enum"].([]any); ok && !slices.Contains(want, value) {
		wrong = append(wrong, fmt.Sprintf("%v is none of %v", value, want))
	}
	if want, ok := schema["type"].(string); ok && !isA(want, value) {
		return append(wrong, fmt.Sprintf("%v is no %s", value, want))
	}
	if least, ok := schema["minimum"].(int); ok && number(value) < float64(least) {
		wrong = append(wrong, fmt.Sprintf("%v is below %d", value, least))
	}
	if list, ok := value.([]any); ok {
		items, _ := schema["items"].(openAPI)
		for _, item := range list {
			wrong = append(wrong, mismatch(doc, items, item)...)
		}
	}
	object, _ := value.(openAPI)
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, ok := object[name.(string)]; !ok {
			wrong = append(wrong, fmt.Sprintf("%s is missing", name))
		}
	}
	properties, _ := schema["properties"].(openAPI)
	additional, _ := schema["additionalProperties"].(openAPI)
	for name, member := range object {
		if property, ok := properties[name].(openAPI); ok {
			wrong = append(wrong, mismatch(doc, property, member)...)
		} else if additional != nil {
			wrong = append(wrong, mismatch(doc, additional, member)...)
		}
	}
	return wrong
}

func isA(kind string, value any) bool {
	switch value.(type) {
	case openAPI:
		return kind == "object"
	case []any:
		return kind == "array"
	case string:
		return kind == "string"
	case bool:
		return kind == "boolean"
	case nil:
		return false
	}
	n := number(value)
	return kind == "number" || kind == "integer" && n == float64(int64(n))
}

// number is a YAML or JSON number.
func number(value any) float64 {
	switch n := value.(type) {
	case int:
		return float64(n)
	case float64:
		return n
	}
	return 0
}
