"""Which of our names stand under which of ROS's modules.

An entry ``module: names`` says where the names come from; ``a=b`` gives ``b`` the name ``a``.
"""

from __future__ import annotations

_PARAMETER = (
    "Parameter parameter_value_to_python get_parameter_value"
    " parameter_dict_from_yaml_file PARAMETER_SEPARATOR_STRING"
)
_LOGGING = (
    "LoggingSeverity get_logger set_logger_level get_logger_level get_logger_effective_level"
    " get_logging_severity_from_string get_logging_directory initialize shutdown clear_config"
)
_QOS = (
    "QoSProfile QoSPresetProfiles QoSPolicyKind InvalidQoSProfileException"
    " HistoryPolicy ReliabilityPolicy DurabilityPolicy LivelinessPolicy"
    " QoSHistoryPolicy=HistoryPolicy QoSReliabilityPolicy=ReliabilityPolicy"
    " QoSDurabilityPolicy=DurabilityPolicy QoSLivelinessPolicy=LivelinessPolicy"
    " qos_profile_unknown qos_profile_default qos_profile_system_default"
    " qos_profile_sensor_data qos_profile_services_default qos_profile_parameters"
    " qos_profile_parameter_events"
)
_EXCEPTIONS = (
    "NotInitializedException NameValidationException InvalidNamespaceException"
    " InvalidNodeNameException InvalidTopicNameException InvalidServiceNameException"
    " ParameterException ParameterNotDeclaredException ParameterAlreadyDeclaredException"
    " InvalidParameterException InvalidParameterTypeException InvalidParameterValueException"
    " ParameterImmutableException ParameterUninitializedException ROSInterruptException"
)
_LIFECYCLE = (
    "LifecycleNode Node=LifecycleNode LifecycleNodeMixin NodeMixin=LifecycleNodeMixin"
    " LifecyclePublisher Publisher=LifecyclePublisher ManagedEntity SimpleManagedEntity"
)
_SIGNALS = (
    "SignalHandlerOptions install_signal_handlers uninstall_signal_handlers"
    " get_current_signal_handlers_options"
)

MODULES: dict[str, dict[str, str]] = {
    "rclpy": {
        "rclpy": "init shutdown try_shutdown ok spin spin_once spin_until_future_complete"
        " create_node get_global_executor",
        "context": "Context get_default_context",
        "arguments": "remove_ros_args",
    },
    "rclpy._rclpy_pybind11": {
        "exceptions": "RCLError InvalidHandle UnknownROSArgsError",
        "node_graph": "NodeNameNonExistentError",
    },
    "rclpy.callback_groups": {
        "callback_groups": "CallbackGroup MutuallyExclusiveCallbackGroup ReentrantCallbackGroup"
    },
    "rclpy.client": {"services": "Client"},
    "rclpy.clock": {
        "clock": "Clock ROSClock ClockChange JumpThreshold JumpHandle TimeJump",
        "time": "ClockType Duration Time",
    },
    "rclpy.clock_type": {"time": "ClockType"},
    "rclpy.constants": {"time": "S_TO_NS"},
    "rclpy.context": {"context": "Context get_default_context"},
    "rclpy.duration": {"time": "Duration Infinite"},
    "rclpy.exceptions": {"exceptions": _EXCEPTIONS},
    "rclpy.executors": {
        "executors": "Executor SingleThreadedExecutor MultiThreadedExecutor",
        "exceptions": "ExternalShutdownException ShutdownException TimeoutException",
    },
    "rclpy.guard_condition": {"timer": "GuardCondition"},
    "rclpy.impl": {},
    "rclpy.impl.rcutils_logger": {"logging": "RcutilsLogger"},
    "rclpy.lifecycle": {
        "lifecycle": _LIFECYCLE,
        "lifecycle_states": "LifecycleState State=LifecycleState TransitionCallbackReturn",
    },
    "rclpy.lifecycle.managed_entity": {
        "lifecycle": "ManagedEntity SimpleManagedEntity",
        "lifecycle_states": "TransitionCallbackReturn",
    },
    "rclpy.lifecycle.node": {
        "lifecycle": _LIFECYCLE,
        "lifecycle_states": "LifecycleState TransitionCallbackReturn",
    },
    "rclpy.lifecycle.publisher": {"lifecycle": "LifecyclePublisher"},
    "rclpy.logging": {"logging": _LOGGING},
    "rclpy.node": {
        "node": "Node",
        "graph": "TopicEndpointInfo",
        "node_graph": "NodeNameNonExistentError",
        "parameter": "Parameter",
        "parameters": "ParameterDescriptor SetParametersResult",
        "topics": "Publisher Subscription",
        "services": "Client Service",
    },
    "rclpy.parameter": {"parameter": _PARAMETER},
    "rclpy.parameter_service": {"parameter_service": "ParameterService"},
    "rclpy.publisher": {"topics": "Publisher"},
    "rclpy.qos": {"qos": _QOS, "time": "Duration"},
    "rclpy.qos_overriding_options": {
        "qos_overriding_options": "QoSOverridingOptions QosCallbackResult",
        "exceptions": "InvalidQosOverridesError",
        "qos": "QoSPolicyKind",
    },
    "rclpy.serialization": {"messages": "serialize_message deserialize_message"},
    "rclpy.service": {"services": "Service"},
    "rclpy.signals": {"context": _SIGNALS},
    "rclpy.subscription": {"topics": "Subscription"},
    "rclpy.task": {"task": "Future Task"},
    "rclpy.time": {"time": "Time Duration ClockType"},
    "rclpy.time_source": {"clock": "TimeSource"},
    "rclpy.timer": {"timer": "Timer Rate"},
    "rclpy.topic_endpoint_info": {"graph": "TopicEndpointInfo TopicEndpointTypeEnum"},
    "rclpy.utilities": {
        "context": "get_default_context",
        "rclpy": "ok shutdown try_shutdown",
        "arguments": "remove_ros_args",
    },
    "tf2_ros": {"tf": "TransformBroadcaster StaticTransformBroadcaster"},
    "tf2_ros.transform_broadcaster": {"tf": "TransformBroadcaster"},
    "tf2_ros.static_transform_broadcaster": {"tf": "StaticTransformBroadcaster"},
}

# packages whose modules msg and srv are served
MESSAGE_PACKAGES = frozenset(
    [
        "action_msgs",
        "audio_common_msgs",
        "builtin_interfaces",
        "diagnostic_msgs",
        "geometry_msgs",
        "lifecycle_msgs",
        "nav_msgs",
        "rcl_interfaces",
        "rmw_dds_common",
        "rosgraph_msgs",
        "sensor_msgs",
        "std_msgs",
        "std_srvs",
        "tf2_msgs",
        "trajectory_msgs",
        "type_description_interfaces",
        "unique_identifier_msgs",
        "visualization_msgs",
    ]
)
