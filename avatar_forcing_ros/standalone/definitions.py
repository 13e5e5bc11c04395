"""Interface facts that the message store lacks: services, and the two packages for audio.

The names, types and constants of the fields are those of ROS 2; a blank line ends a definition
and ``---`` parts a request from its response.
"""

from __future__ import annotations

SERVICES = """
std_srvs/srv/Empty
---

std_srvs/srv/SetBool
bool data
---
bool success
string message

std_srvs/srv/Trigger
---
bool success
string message

rcl_interfaces/srv/DescribeParameters
string[] names
---
rcl_interfaces/ParameterDescriptor[] descriptors

rcl_interfaces/srv/GetParameterTypes
string[] names
---
uint8[] types

rcl_interfaces/srv/GetParameters
string[] names
---
rcl_interfaces/ParameterValue[] values

rcl_interfaces/srv/ListParameters
uint64 DEPTH_RECURSIVE=0
string[] prefixes
uint64 depth
---
rcl_interfaces/ListParametersResult result

rcl_interfaces/srv/SetParameters
rcl_interfaces/Parameter[] parameters
---
rcl_interfaces/SetParametersResult[] results

rcl_interfaces/srv/SetParametersAtomically
rcl_interfaces/Parameter[] parameters
---
rcl_interfaces/SetParametersResult result

lifecycle_msgs/srv/ChangeState
lifecycle_msgs/Transition transition
---
bool success

lifecycle_msgs/srv/GetAvailableStates
---
lifecycle_msgs/State[] available_states

lifecycle_msgs/srv/GetAvailableTransitions
---
lifecycle_msgs/TransitionDescription[] available_transitions

lifecycle_msgs/srv/GetState
---
lifecycle_msgs/State current_state

sensor_msgs/srv/SetCameraInfo
sensor_msgs/CameraInfo camera_info
---
bool success
string status_message
"""

AUDIO = """
audio_common_msgs/msg/AudioData
float32[] float32_data
int32[] int32_data
int16[] int16_data
int8[] int8_data
uint8[] uint8_data

audio_common_msgs/msg/AudioInfo
int32 format
int32 channels
int32 rate
int32 chunk

audio_common_msgs/msg/Audio
audio_common_msgs/AudioData audio_data
audio_common_msgs/AudioInfo info

audio_common_msgs/msg/AudioStamped
std_msgs/Header header
audio_common_msgs/Audio audio
"""

# another package that bears the same name; its AudioData is not the one above
OTHER_AUDIO = """
audio_common_msgs/msg/AudioData
uint8[] data

audio_common_msgs/msg/AudioDataStamped
std_msgs/Header header
audio_common_msgs/AudioData audio
"""

# fields that do not start at zero or empty; the store keeps names and types only
DEFAULTS: dict[str, dict[str, object]] = {"geometry_msgs/msg/Quaternion": {"w": 1.0}}


def blocks(text: str) -> dict[str, str]:
    """The definitions in ``text``: full type name → its lines."""
    found = {}
    for block in text.strip().split("\n\n"):
        name, _, body = block.partition("\n")
        found[name] = body
    return found
