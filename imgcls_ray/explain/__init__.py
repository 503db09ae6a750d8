"""What a network looks at: Grad-CAM heat maps, the filters of its first layer, the maps between its layers."""
