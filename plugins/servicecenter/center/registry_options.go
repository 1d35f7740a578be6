package center

import (
	"fmt"

	"github.com/apache/servicecomb-service-center/datasource/etcd/client"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func conditions(cmps []client.CompareOp) ([]clientv3.Cmp, error) {
	results := map[client.CompareResult]string{client.CmpEqual: "=", client.CmpGreater: ">", client.CmpLess: "<", client.CmpNotEqual: "!="}
	out := make([]clientv3.Cmp, 0, len(cmps))
	for _, c := range cmps {
		var on clientv3.Cmp
		key, value := string(c.Key), c.Value
		switch c.Type {
		case client.CmpVersion:
			on = clientv3.Version(key)
		case client.CmpCreate:
			on = clientv3.CreateRevision(key)
		case client.CmpMod:
			on = clientv3.ModRevision(key)
		case client.CmpValue:
			on = clientv3.Value(key)
		default:
			return nil, fmt.Errorf("servicecenter: unknown compare %d", c.Type)
		}
		switch v := value.(type) { // etcd's client panics on any other type
		case []byte:
			value = string(v)
		case int:
			value = int64(v)
		case int64, string:
		default:
			return nil, fmt.Errorf("servicecenter: a compare with a %T", value)
		}
		if _, isText := value.(string); isText != (c.Type == client.CmpValue) {
			return nil, fmt.Errorf("servicecenter: a compare of kind %d with a %T", c.Type, value)
		}
		out = append(out, clientv3.Compare(on, results[c.Result], value))
	}
	return out, nil
}

func operationsOf(ops []client.PluginOp) []clientv3.Op {
	var out []clientv3.Op
	for _, op := range ops {
		switch op.Action {
		case client.ActionGet:
			out = append(out, clientv3.OpGet(string(op.Key), getOptions(op)...))
		case client.ActionPut:
			out = append(out, clientv3.OpPut(string(op.Key), string(op.Value), putOptions(op)...))
		case client.ActionDelete:
			out = append(out, clientv3.OpDelete(string(op.Key), rangeOptions(op)...))
		}
	}
	return out
}

func rangeOptions(op client.PluginOp) []clientv3.OpOption {
	var out []clientv3.OpOption
	switch {
	case op.Prefix:
		out = append(out, clientv3.WithPrefix())
	case len(op.EndKey) > 0:
		out = append(out, clientv3.WithRange(string(op.EndKey)))
	}
	if op.PrevKV {
		out = append(out, clientv3.WithPrevKV())
	}
	return out
}

func getOptions(op client.PluginOp) []clientv3.OpOption {
	out := rangeOptions(op)
	if op.KeyOnly {
		out = append(out, clientv3.WithKeysOnly())
	}
	if op.CountOnly {
		out = append(out, clientv3.WithCountOnly())
	}
	if op.Revision > 0 {
		out = append(out, clientv3.WithRev(op.Revision))
	}
	by := clientv3.SortByKey
	if op.OrderBy == client.OrderByCreate {
		by = clientv3.SortByCreateRevision
	}
	switch op.SortOrder {
	case client.SortAscend:
		out = append(out, clientv3.WithSort(by, clientv3.SortAscend))
	case client.SortDescend:
		out = append(out, clientv3.WithSort(by, clientv3.SortDescend))
	}
	return out
}

func putOptions(op client.PluginOp) []clientv3.OpOption {
	var out []clientv3.OpOption
	if op.PrevKV {
		out = append(out, clientv3.WithPrevKV())
	}
	if op.Lease > 0 {
		out = append(out, clientv3.WithLease(clientv3.LeaseID(op.Lease)))
	}
	if op.IgnoreLease {
		out = append(out, clientv3.WithIgnoreLease())
	}
	return out
}
