// The module of scctl, which the tests build and run: it needs etcd 3.3 and the grpc of
// that time.
module github.com/mec-liveness/mepserver/test/e2e/scctl

go 1.26

tool github.com/apache/servicecomb-service-center/cmd/scctl

require (
	github.com/NYTimes/gziphandler v1.0.2-0.20180820182813-253f1acb9d9f // indirect
	github.com/apache/servicecomb-service-center v1.4.1-0.20210209095158-03e61187ded4 // indirect
	github.com/astaxie/beego v1.8.0 // indirect
	github.com/cheggaaa/pb v1.0.25 // indirect
	github.com/coreos/etcd v3.3.22+incompatible // indirect
	github.com/coreos/go-semver v0.3.0 // indirect
	github.com/coreos/go-systemd v0.0.0-20180828140353-eee3db372b31 // indirect
	github.com/coreos/pkg v0.0.0-20180108230652-97fdf19511ea // indirect
	github.com/fsnotify/fsnotify v1.4.9 // indirect
	github.com/go-chassis/cari v0.0.2-0.20210208095358-3bccdf2ce456 // indirect
	github.com/go-chassis/go-archaius v1.3.6-0.20201130023516-387922b408d0 // indirect
	github.com/go-chassis/openlog v1.1.2 // indirect
	github.com/gogo/protobuf v1.3.1 // indirect
	github.com/golang/protobuf v1.4.2 // indirect
	github.com/google/uuid v1.1.1 // indirect
	github.com/gorilla/websocket v1.4.2 // indirect
	github.com/iancoleman/strcase v0.1.2 // indirect
	github.com/inconshreveable/mousetrap v1.0.0 // indirect
	github.com/mattn/go-runewidth v0.0.9 // indirect
	github.com/natefinch/lumberjack v0.0.0-20170531160350-a96e63847dc3 // indirect
	github.com/olekukonko/tablewriter v0.0.0-20180506121414-d4647c9c7a84 // indirect
	github.com/prometheus/procfs v0.0.0-20190117184657-bf6a532e95b1 // indirect
	github.com/satori/go.uuid v1.1.0 // indirect
	github.com/spf13/cast v1.2.0 // indirect
	github.com/spf13/cobra v0.0.3 // indirect
	github.com/spf13/pflag v1.0.5 // indirect
	go.uber.org/atomic v1.7.0 // indirect
	go.uber.org/multierr v1.6.0 // indirect
	go.uber.org/zap v1.10.0 // indirect
	golang.org/x/net v0.0.0-20200904194848-62affa334b73 // indirect
	golang.org/x/sys v0.4.0 // indirect
	golang.org/x/text v0.3.5 // indirect
	google.golang.org/genproto v0.0.0-20200513103714-09dca8ec2884 // indirect
	google.golang.org/grpc v1.33.1 // indirect
	google.golang.org/protobuf v1.23.0 // indirect
	gopkg.in/yaml.v2 v2.3.0 // indirect
)

replace (
	bou.ke/monkey => github.com/bouk/monkey v1.0.2
	github.com/coreos/bbolt => go.etcd.io/bbolt v1.3.12
	github.com/go-chassis/cari => github.com/go-chassis/cari v0.0.2-0.20210208095358-3bccdf2ce456
	github.com/prometheus/procfs => github.com/prometheus/procfs v0.7.3
	google.golang.org/grpc => google.golang.org/grpc v1.26.0
)
