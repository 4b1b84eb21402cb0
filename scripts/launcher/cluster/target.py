"""The target: which cluster, and which values, as the options of a command say."""

from dataclasses import dataclass

from tench.launcher.cluster.helm import ChartValues, Helm, chart_path
from tench.launcher.cluster.kube import Kube
from tench.launcher.cluster.profile import values_files


@dataclass(frozen=True)
class Target:
    """What `--context`, `--namespace`, `-f`, `--set` and `--chart` say."""

    context: str | None = None
    namespace: str | None = None
    files: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    chart: str | None = None

    @property
    def is_given(self) -> bool:
        return self != Target()

    def values(self) -> ChartValues:
        """Raises UsageError where there is no chart, or the profile is not there."""
        return ChartValues(chart_path(self.chart), values_files(self.files), self.sets, {}, {})

    def kube(self) -> Kube:
        """Raises PreflightError."""
        return Kube.connect(self.context, self.namespace)

    def helm(self, kube: Kube) -> Helm:
        """For the namespace that `kube` reads; from inside a pod, helm finds the cluster itself."""
        return Helm(kube.context, kube.namespace)
