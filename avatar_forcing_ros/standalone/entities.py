"""The part of a node that makes and destroys publishers, services, timers and the like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from avatar_forcing_ros.standalone.callback_groups import (
    CallbackGroup,
    MutuallyExclusiveCallbackGroup,
    ReentrantCallbackGroup,
)
from avatar_forcing_ros.standalone.clock import Clock, ROSClock
from avatar_forcing_ros.standalone.context import Context
from avatar_forcing_ros.standalone.graph import Graph
from avatar_forcing_ros.standalone.qos import (
    QoSProfile,
    profile_of,
    qos_profile_services_default,
)
from avatar_forcing_ros.standalone.qos_overriding_options import (
    QoSOverridingOptions,
    apply_overrides,
)
from avatar_forcing_ros.standalone.services import Client, Service
from avatar_forcing_ros.standalone.time import S_TO_NS
from avatar_forcing_ros.standalone.timer import GuardCondition, Rate, Timer
from avatar_forcing_ros.standalone.topics import Publisher, Subscription


class EntityHolder:
    """Needs of the node its context, its place in the graph, its clock and its name rules."""

    _context: Context
    _clock: ROSClock
    _identity: Any

    def _init_entities(self) -> None:
        self._publishers: list[Publisher] = []
        self._subscriptions: list[Subscription] = []
        self._clients: list[Client] = []
        self._services: list[Service] = []
        self._timers: list[Timer] = []
        self._guards: list[GuardCondition] = []
        self._default_callback_group = MutuallyExclusiveCallbackGroup()

    @property
    def _graph(self) -> Graph:
        return self._context.graph

    def _wake(self) -> None:
        raise NotImplementedError

    def resolve_topic_name(self, topic: str, *, only_expand: bool = False) -> str:
        """The topic's absolute name, after remapping."""
        raise NotImplementedError

    def resolve_service_name(self, service: str, *, only_expand: bool = False) -> str:
        """The service's absolute name, after remapping."""
        raise NotImplementedError

    @property
    def default_callback_group(self) -> CallbackGroup:
        """The group of entities that were not given another: one callback at a time."""
        return self._default_callback_group

    publishers: Iterator[Publisher] = property(lambda self: iter(self._publishers))  # type: ignore[assignment]
    subscriptions: Iterator[Subscription] = property(lambda self: iter(self._subscriptions))  # type: ignore[assignment]
    clients: Iterator[Client] = property(lambda self: iter(self._clients))  # type: ignore[assignment]
    services: Iterator[Service] = property(lambda self: iter(self._services))  # type: ignore[assignment]
    timers: Iterator[Timer] = property(lambda self: iter(self._timers))  # type: ignore[assignment]
    guards: Iterator[GuardCondition] = property(lambda self: iter(self._guards))  # type: ignore[assignment]

    def entities(self) -> list[Any]:
        """Everything that an executor has to look at, the most urgent first."""
        return [
            *self._timers,
            *self._subscriptions,
            *self._guards,
            *self._clients,
            *self._services,
        ]

    def _adopt(self, entity: Any, kept: list[Any], group: CallbackGroup | None) -> Any:
        """Makes a new entity part of the node, of a group, and of the graph."""
        if not isinstance(entity, Publisher):
            entity.callback_group = group or self._default_callback_group
            entity.callback_group.add_entity(entity)
        kept.append(entity)
        for endpoint in _endpoints(entity):
            self._graph.add_endpoint(self._identity, endpoint)
        self._wake()
        return entity

    def create_publisher(
        self,
        msg_type: type[Any],
        topic: str,
        qos_profile: QoSProfile | int,
        *,
        callback_group: CallbackGroup | None = None,
        event_callbacks: Any = None,
        qos_overriding_options: QoSOverridingOptions | None = None,
        publisher_class: type[Publisher] = Publisher,
    ) -> Any:
        """A publisher; ``qos_profile`` may be the depth of a reliable one."""
        if event_callbacks is not None:
            raise NotImplementedError("publisher event_callbacks without a ROS installation")
        qos = profile_of(qos_profile)
        full = self.resolve_topic_name(topic)
        if qos_overriding_options is not None:
            apply_overrides(self, full, qos, qos_overriding_options, "publisher")
        return self._adopt(publisher_class(self, msg_type, full, qos), self._publishers, None)

    def create_subscription(
        self,
        msg_type: type[Any],
        topic: str,
        callback: Callable[..., Any],
        qos_profile: QoSProfile | int,
        *,
        callback_group: CallbackGroup | None = None,
        event_callbacks: Any = None,
        qos_overriding_options: QoSOverridingOptions | None = None,
        raw: bool = False,
    ) -> Subscription:
        """A subscription; with ``raw`` the callback gets CDR bytes."""
        if event_callbacks is not None:
            raise NotImplementedError("subscription event_callbacks without a ROS installation")
        qos = profile_of(qos_profile)
        full = self.resolve_topic_name(topic)
        if qos_overriding_options is not None:
            apply_overrides(self, full, qos, qos_overriding_options, "subscription")
        subscription = Subscription(self, msg_type, full, callback, qos, raw)
        return self._adopt(subscription, self._subscriptions, callback_group)

    def create_client(
        self,
        srv_type: type[Any],
        srv_name: str,
        *,
        qos_profile: QoSProfile | int = qos_profile_services_default,
        callback_group: CallbackGroup | None = None,
    ) -> Client:
        """A client of a service."""
        full = self.resolve_service_name(srv_name)
        client = Client(self, srv_type, full, profile_of(qos_profile))
        return self._adopt(client, self._clients, callback_group)

    def create_service(
        self,
        srv_type: type[Any],
        srv_name: str,
        callback: Callable[[Any, Any], Any],
        *,
        qos_profile: QoSProfile | int = qos_profile_services_default,
        callback_group: CallbackGroup | None = None,
    ) -> Service:
        """A service that ``callback(request, response) -> response`` answers."""
        full = self.resolve_service_name(srv_name)
        service = Service(self, srv_type, full, callback, profile_of(qos_profile))
        return self._adopt(service, self._services, callback_group)

    def create_timer(
        self,
        timer_period_sec: float,
        callback: Callable[[], Any] | None,
        callback_group: CallbackGroup | None = None,
        clock: Clock | None = None,
        autostart: bool = True,
    ) -> Timer:
        """Calls back every so many seconds of the node's clock, or of another."""
        period_ns = int(float(timer_period_sec) * S_TO_NS)
        timer = Timer(callback, period_ns, clock or self._clock, self._wake, autostart=autostart)
        return self._adopt(timer, self._timers, callback_group)

    def create_guard_condition(
        self, callback: Callable[[], Any], callback_group: CallbackGroup | None = None
    ) -> GuardCondition:
        """Calls back when another thread triggers it."""
        return self._adopt(GuardCondition(callback, self._wake), self._guards, callback_group)

    def create_rate(self, frequency: float, clock: Clock | None = None) -> Rate:
        """A rhythm of so many Hz for a loop in another thread."""
        if frequency <= 0:
            raise ValueError("frequency must be > 0")
        timer = self.create_timer(1.0 / frequency, None, ReentrantCallbackGroup(), clock)
        return Rate(timer, self._context)

    def _dismiss(self, entity: Any, kept: list[Any]) -> bool:
        if entity not in kept:
            return False
        kept.remove(entity)
        if hasattr(entity, "callback_group"):
            entity.callback_group.entities.discard(entity)
        self._wake()
        if self._context.is_open():
            for endpoint in _endpoints(entity):
                self._graph.remove_endpoint(self._identity, endpoint)
        entity.destroy()
        return True

    def destroy_publisher(self, publisher: Publisher) -> bool:
        """Takes the publisher away; False where it is not this node's."""
        return self._dismiss(publisher, self._publishers)

    def destroy_subscription(self, subscription: Subscription) -> bool:
        """Takes the subscription away; False where it is not this node's."""
        return self._dismiss(subscription, self._subscriptions)

    def destroy_client(self, client: Client) -> bool:
        """Takes the client away; False where it is not this node's."""
        return self._dismiss(client, self._clients)

    def destroy_service(self, service: Service) -> bool:
        """Takes the service away; False where it is not this node's."""
        return self._dismiss(service, self._services)

    def destroy_timer(self, timer: Timer) -> bool:
        """Takes the timer away; False where it is not this node's."""
        return self._dismiss(timer, self._timers)

    def destroy_guard_condition(self, guard: GuardCondition) -> bool:
        """Takes the guard condition away; False where it is not this node's."""
        return self._dismiss(guard, self._guards)

    def destroy_rate(self, rate: Rate) -> bool:
        """Takes the rate away; False where it is not this node's."""
        rate.destroy()
        return self.destroy_timer(rate._timer)

    def _destroy_entities(self) -> None:
        for kept in (
            self._timers,
            self._guards,
            self._subscriptions,
            self._services,
            self._clients,
            self._publishers,
        ):
            for entity in list(kept):
                self._dismiss(entity, kept)


def _endpoints(entity: Any) -> list[Any]:
    found = (getattr(entity, "endpoint", None), getattr(entity, "writer", None))
    return [endpoint for endpoint in found if endpoint is not None]
