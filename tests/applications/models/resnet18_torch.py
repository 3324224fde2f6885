"""ResNet18 in torch.nn, layer by layer as torchvision has it, parameters in the same order."""

from torch import nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions next to a shortcut."""

    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = None
        if stride != 1 or channels_in != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x):
        """Return the block's output."""
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    """The whole network, with the stem for ImageNet."""

    def __init__(self, num_classes, width):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        channels = width
        for stage in range(4):
            first = BasicBlock(channels, width * 2**stage, 1 if stage == 0 else 2)
            channels = width * 2**stage
            stage_of_two = nn.Sequential(first, BasicBlock(channels, channels, 1))
            setattr(self, f"layer{stage + 1}", stage_of_two)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x):
        """Return logits of images (number, 3, height, width)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def modules_by_layer(network):
    """Return each module with weights under the name of the Keras layer that is the same."""
    modules = {"stem_convolution": network.conv1, "stem_normalization": network.bn1}
    modules["logits"] = network.fc
    for stage in (1, 2, 3, 4):
        for block, module in enumerate(getattr(network, f"layer{stage}"), start=1):
            pairs = {"a": (module.conv1, module.bn1), "b": (module.conv2, module.bn2)}
            if module.downsample is not None:
                pairs["shortcut"] = tuple(module.downsample)
            for part, (convolution, normalization) in pairs.items():
                name = f"stage_{stage}_block_{block}_{part}"
                modules[f"{name}_convolution"] = convolution
                modules[f"{name}_normalization"] = normalization
    return modules
