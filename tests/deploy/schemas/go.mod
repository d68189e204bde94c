// What others define, for the tests to read: eksctl's schema, and custom resource definitions. Nothing is built of it.
module marquee.example/schemas

go 1.26.6

require (
	github.com/aws/karpenter-provider-aws v1.14.1
	github.com/cert-manager/cert-manager v1.21.1
	github.com/kedacore/keda/v2 v2.21.0
	github.com/prometheus-operator/prometheus-operator v0.93.1
	github.com/weaveworks/eksctl v0.230.0
	sigs.k8s.io/aws-load-balancer-controller v0.0.0-20260423195125-93ff3b5fdaad
	sigs.k8s.io/gateway-api v1.6.1
	sigs.k8s.io/karpenter v1.14.1
)
