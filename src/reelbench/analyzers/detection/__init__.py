"""What object detection is made of: heads (network in and out), tracks, COCO's names, calibration frames."""
